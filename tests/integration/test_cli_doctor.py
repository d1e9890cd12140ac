"""Everything that `pavane doctor` can find, provoked on real servers, and mended by the command that it names."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from unittest import mock

import aiormq
import pytest
import redis
from typer.main import get_command

from pavane.adapters.redis.scripting import FOLDER, load_library
from pavane.adapters.redis.store import RedisStore
from pavane.cli.program import program
from pavane.cli.work_checks import TRIED
from pavane.core.topology import DELIVERY_LIMIT, Names
from tests.integration.cli_runner import APP, Pavane
from tests.integration.operator import Operator, commands
from tests.servers import RabbitServer, RedisServer

PATIENCE = 40.0
"""Seconds until the management API must have noticed; it looks every five."""


@pytest.fixture(scope="module")
def managed() -> Iterator[RabbitServer]:
    with RabbitServer(management=True) as server:
        yield server.start()


@pytest.fixture(scope="module")
def private() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server.start()


def program_on(rabbit: RabbitServer, redis_url: str, **variables: str) -> Pavane:
    settings = {
        "PAVANE_BROKER_URL": rabbit.url,
        "PAVANE_STATE_URL": redis_url,
        "PAVANE_MANAGEMENT_URL": rabbit.management_url,
        "PAVANE_NAMESPACE": f"t{secrets.token_hex(8)}",
        "PAVANE_APP": APP,
    }
    return Pavane.on(**(settings | variables))


@pytest.fixture(scope="module")
def operator(managed: RabbitServer, private: RedisServer) -> Operator:
    """On call for a namespace whose services have run and are stopped. Every test leaves it mended."""
    pavane = program_on(managed, private.url)
    with pavane.running() as workers:
        workers.wait_until_ready()
        workers.stop()
    return Operator(pavane, managed, private)


def names(pavane: Pavane) -> Names:
    return Names(pavane.environment["PAVANE_NAMESPACE"])


def on_broker(pavane: Pavane, work: Callable[[aiormq.abc.AbstractChannel, Names], Awaitable[None]]) -> None:
    async def run() -> None:
        connection = await aiormq.connect(pavane.environment["PAVANE_BROKER_URL"])
        try:
            await work(await connection.channel(), names(pavane))
        finally:
            await connection.close()

    asyncio.run(run())


def eventually(look: Callable[[], dict[str, Any]], status: str) -> dict[str, Any]:
    """The finding, once it has this status."""
    deadline = time.monotonic() + PATIENCE
    while (found := look())["status"] != status:
        assert time.monotonic() < deadline, f"it never was {status}: {found}"
        time.sleep(0.5)
    return found


# Redis


@pytest.mark.parametrize(
    ("check", "setting", "value", "status"),
    [
        ("eviction", "maxmemory-policy", "allkeys-lru", "error"),
        ("persistence", "appendonly", "no", "error"),
        ("persistence", "appendfsync", "no", "warning"),
    ],
)
def test_a_redis_that_may_lose_records(
    operator: Operator, check: str, setting: str, value: str, status: str
) -> None:
    assert operator.doctor(check)["status"] == "ok"
    client = redis.Redis.from_url(operator.redis.url)
    client.config_set(setting, value)
    found = operator.doctor(check)
    assert found["status"] == status, found
    operator.follow(found["remedy"])
    assert operator.doctor(check)["status"] == "ok"


def test_a_redis_that_pavane_refuses_is_no_unreachable_one(operator: Operator) -> None:
    client = redis.Redis.from_url(operator.redis.url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    done = operator.pavane("doctor", "--json")
    client.config_set("maxmemory-policy", "noeviction")
    status = {one["name"]: one["status"] for one in done.document["checks"]}
    assert done.code == 1, done
    assert [status[name] for name in ("state_connection", "eviction", "persistence")] == [
        "error",
        "error",
        "ok",
    ]


def test_a_clock_that_is_an_hour_off(operator: Operator) -> None:
    # Ours: neither Redis nor Python's threads work under a library that lies about the time of the system.
    right = time.time

    def an_hour_ago() -> float:
        return right() - 3600

    with mock.patch.object(time, "time", an_hour_ago):
        found = operator.doctor("clock_skew")
    assert found["status"] == "warning"
    seconds = float(found["summary"].removeprefix("Redis's clock is ").partition(" s ")[0])
    assert 3590 < seconds < 3610
    assert "ahead of" in found["summary"]
    assert commands(found["remedy"]) == [["timedatectl", "set-ntp", "true"]]


def test_a_redis_that_has_forgotten_everything(managed: RabbitServer, private: RedisServer) -> None:
    operator = Operator(program_on(managed, private.url), managed, private)
    assert operator.doctor("epoch")["status"] == "warning", "nothing was ever there"
    assert operator.pavane("topology", "apply", "--yes").code == 0
    client = redis.Redis.from_url(operator.redis.url)
    client.delete(*client.scan_iter(f"{names(operator.pavane).namespace}:*", count=1000))
    found = operator.doctor("epoch")
    assert found["status"] == "error"
    operator.follow(found["remedy"])
    assert operator.doctor("epoch")["status"] == "ok"


# the work


def test_a_worker_that_nobody_runs(operator: Operator) -> None:
    found = operator.doctor("consumers")
    assert (found["status"], found["summary"]) == (
        "warning",
        "Nobody consumes for mail.confirm, stock.reserve.",
    )
    [[_, command, *words]] = commands(found["remedy"])
    assert command == "run"
    with operator.pavane.running(*(APP if word == "APP" else word for word in words)) as workers:
        workers.wait_until_ready()
        assert operator.doctor("consumers")["status"] == "ok"
        workers.stop()


def test_a_queue_that_is_missing(operator: Operator) -> None:
    async def delete(channel: aiormq.abc.AbstractChannel, here: Names) -> None:
        await channel.queue_delete(here.queue("mail", "confirm"))

    on_broker(operator.pavane, delete)
    found = operator.doctor("topology")
    assert found["status"] == "error"
    plan, apply = commands(found["remedy"])
    assert plan[:3] == ["pavane", "topology", "plan"]
    operator.run(apply)
    assert operator.doctor("topology")["status"] == "ok"


def test_events_that_cannot_be_published(operator: Operator) -> None:
    async def unbind(channel: aiormq.abc.AbstractChannel, here: Names) -> None:
        await channel.queue_unbind(here.queue("stock", "reserve"), here.event("cli.placed"), routing_key="")

    on_broker(operator.pavane, unbind)
    run = operator.pavane.json("start", "orders", "--payload", '{"order":"1"}')["run"]
    assert operator.doctor("outbox")["status"] == "ok", "it is new: the relay has not tried yet"
    tried = asyncio.run(relay_later(operator, TRIED))
    assert tried >= TRIED
    found = operator.doctor("outbox")
    assert (found["status"], run in found["summary"]) == ("error", True)
    operator.follow(found["remedy"])
    # What a relay does within a minute, a start of the same run does at once.
    operator.pavane.json("start", "orders", "--payload", '{"order":"1"}')
    assert operator.doctor("outbox")["status"] == "ok"


async def relay_later(operator: Operator, times: int) -> int:
    """Let a relay try so often, each time by a clock that is a minute further; how many rows it was given."""
    given = 0
    for minute in range(1, times + 1):
        clock = (
            (FOLDER / "clock.lua").read_text().replace("time[1] * 1000", f"(time[1] + {minute * 60}) * 1000")
        )
        store = RedisStore(
            operator.redis.url,
            namespace=names(operator.pavane).namespace,
            library=load_library({"clock": clock}),
        )
        await store.open()
        given += sum([len((await store.tick(shard)).rows) for shard in range(store.shards)])
        await store.close()
    return given


def test_a_message_that_fits_nowhere(operator: Operator) -> None:
    assert operator.doctor("parked")["status"] == "ok"

    async def park(channel: aiormq.abc.AbstractChannel, here: Names) -> None:
        await channel.basic_publish(b"{}", exchange=here.exchange("dlx"), routing_key=here.parked)

    on_broker(operator.pavane, park)
    found = eventually(lambda: operator.doctor("parked"), "error")
    assert "1 message" in found["summary"]
    look, back, move = commands(found["remedy"])
    assert look[1:] == ["get", f"queue={names(operator.pavane).parked}"]
    assert parses(back)
    assert move[:3] == ["rabbitmqctl", "set_parameter", "shovel"]
    assert json.loads(move[-1])["src-queue"] == names(operator.pavane).parked

    async def unpark(channel: aiormq.abc.AbstractChannel, here: Names) -> None:
        await channel.queue_purge(here.parked)

    on_broker(operator.pavane, unpark)


def parses(words: list[str]) -> bool:
    """Whether the program knows the command."""
    command: Any = get_command(program)
    for word in words[1:3]:
        command = command.commands[word]
    return command is not None


# what others have set on RabbitMQ


@pytest.mark.parametrize("declare", ["auto", "never"])
def test_a_user_who_may_not_do_what_pavane_needs(operator: Operator, declare: str) -> None:
    user = f"u{secrets.token_hex(4)}"
    operator.rabbit.rabbitmqctl("add_user", user, "secret")
    operator.rabbit.rabbitmqctl("set_permissions", user, "^$", "^mine", ".*")
    limited = Pavane(
        operator.pavane.environment
        | {
            "PAVANE_BROKER_URL": operator.rabbit.url.replace("guest:guest", f"{user}:secret"),
            "PAVANE_MANAGEMENT_URL": operator.rabbit.management_url,
            "PAVANE_DECLARE": declare,
        }
    )
    found = operator.doctor("broker_permissions", on=limited)
    assert found["status"] == "error"
    assert f"{user} may not write to {names(limited).namespace}." in found["summary"]
    operator.follow(found["remedy"])
    assert operator.doctor("broker_permissions", on=limited)["status"] == "ok"
    assert operator.rabbit.rabbitmqctl("list_user_permissions", user).count("^mine|") == 1, (
        "what it had, it keeps"
    )
    if declare == "auto":
        with limited.running() as workers:
            workers.wait_until_ready()
            workers.stop()


def test_an_api_that_tells_administrators_only(operator: Operator) -> None:
    user = f"u{secrets.token_hex(4)}"
    operator.rabbit.rabbitmqctl("add_user", user, "secret")
    operator.rabbit.rabbitmqctl("set_user_tags", user, "monitoring")
    operator.rabbit.rabbitmqctl("set_permissions", user, "", "", "")
    url = operator.rabbit.management_url.replace("guest:guest", f"{user}:secret")
    watched = Pavane(operator.pavane.environment | {"PAVANE_MANAGEMENT_URL": url})
    found = operator.doctor("broker_permissions", on=watched)
    assert (found["status"], "administrators only" in found["summary"]) == ("warning", True)
    [words] = commands(found["remedy"])
    assert "guest" in operator.run(words)
    assert operator.doctor("policies", on=watched)["status"] == "ok"


def test_policies_that_break_promises(operator: Operator) -> None:
    here, mark = names(operator.pavane), secrets.token_hex(4)
    policies: list[tuple[str, str, str, dict[str, Any]]] = [
        (
            "set_policy",
            f"short {mark}",
            here.queue("stock", "reserve"),
            {"message-ttl": 60_000, "delivery-limit": 3},
        ),
        (
            "set_policy",
            f"small {mark}",
            here.queue("mail", "confirm"),
            {"max-length": 10, "overflow": "drop-head"},
        ),
        ("set_operator_policy", f"tidy {mark}", here.intake("mail"), {"expires": 1_800_000}),
        ("set_policy", f"harmless {mark}", here.intake("mail"), {"delivery-limit": 100}),
    ]
    for command, policy, queue, sets in policies:
        operator.rabbit.rabbitmqctl(command, "--apply-to", "queues", policy, f"^{queue}$", json.dumps(sets))

    def look() -> dict[str, Any]:
        found = operator.doctor("policies")
        all_seen = all(f"{policy} sets " in found["summary"] for _, policy, *_ in policies[:3])
        return found if all_seen or found["status"] == "ok" else found | {"status": "not yet"}

    found = eventually(look, "error")
    for _, policy, queue, sets in policies[:3]:
        for key in sets:
            assert f"{policy} sets {key} on {queue}: " in found["summary"]
    assert "harmless" not in found["summary"] + found["remedy"]
    operator.follow(found["remedy"])
    eventually(look, "ok")
    operator.rabbit.rabbitmqctl("clear_policy", f"harmless {mark}")


def test_dead_letters_that_do_not_arrive(operator: Operator) -> None:
    async def give_up(channel: aiormq.abc.AbstractChannel, here: Names) -> None:
        queue, intake = here.queue("stock", "reserve"), here.intake("stock")
        await channel.queue_delete(intake)
        await channel.basic_publish(b"{}", exchange=here.jobs("stock"), routing_key=queue)
        returned = 0
        while returned <= DELIVERY_LIMIT:
            got = await channel.basic_get(queue)
            if got.delivery_tag is not None:
                await channel.basic_nack(got.delivery_tag, requeue=True)
                returned += 1

    on_broker(operator.pavane, give_up)
    found = eventually(lambda: operator.doctor("dead_lettering"), "error")
    here = names(operator.pavane)
    assert (
        f"1 messages of {here.queue('stock', 'reserve')} do not reach {here.intake('stock')}"
        in found["summary"]
    )
    operator.follow(found["remedy"])
    assert operator.doctor("topology")["status"] == "ok", "RabbitMQ tries again within three minutes"

    async def drop(channel: aiormq.abc.AbstractChannel, here: Names) -> None:
        await channel.queue_delete(here.queue("stock", "reserve"))

    on_broker(operator.pavane, drop)  # no other test has to wait for that
    operator.run(["pavane", "topology", "apply", "APP"])


def test_a_handler_that_may_take_longer_than_rabbitmq_waits(operator: Operator) -> None:
    found = operator.doctor(
        "consumer_timeout", "--app", "tests.choreographies.lease_exceeds_consumer_timeout:app"
    )
    assert (found["status"], "post.deliver" in found["summary"]) == ("error", True)
    [words] = commands(found["remedy"])
    assert operator.run(words).strip() == "ok"
    seen = operator.rabbit.rabbitmqctl("eval", "application:get_env(rabbit, consumer_timeout).")
    assert seen.strip() == "{ok,7200000}"
    assert operator.doctor("consumer_timeout")["status"] == "ok"


def test_without_the_api_or_an_app_what_is_not_seen_is_said_with_who_sees_it(operator: Operator) -> None:
    keep = {
        name: value
        for name, value in operator.pavane.environment.items()
        if name not in ("PAVANE_MANAGEMENT_URL", "PAVANE_APP")
    }
    blind = Pavane(keep)
    for check in ("broker_permissions", "dead_lettering", "policies", "consumer_timeout"):
        found = operator.doctor(check, on=blind)
        assert (found["status"], found["summary"].startswith("not seen: ")) == ("warning", True)
        for words in commands(found["remedy"]):
            if words[0] == "rabbitmqctl":
                operator.run(words)
