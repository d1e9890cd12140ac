"""`topology verify` and `prune` on real servers: a worker and a subscription go, another service stays."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator

import pytest

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.core.topology import Names
from pavane.ports.broker import Message, ToDeadLetters, ToQueue, ToSubscribers
from tests.integration.cli_runner import Pavane
from tests.servers import RabbitServer, RedisServer

OLD, NEW, MAIL = (f"tests.integration.left_shop:{app}" for app in ("old", "new", "mail"))


@pytest.fixture(scope="module")
def managed() -> Iterator[RabbitServer]:
    server = RabbitServer(management=True)
    yield server.start()
    server.close()


@pytest.fixture
def pavane(managed: RabbitServer, redis_server: RedisServer) -> Pavane:
    return Pavane.on(
        PAVANE_BROKER_URL=managed.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=f"t{secrets.token_hex(8)}",
    )


def names(pavane: Pavane) -> Names:
    return Names(pavane.environment["PAVANE_NAMESPACE"])


def on_broker(pavane: Pavane, work: Callable[[RabbitMQBroker], Awaitable[None]]) -> None:
    async def run() -> None:
        broker = RabbitMQBroker(pavane.environment["PAVANE_BROKER_URL"], namespace=names(pavane).namespace)
        await broker.open()
        try:
            await work(broker)
        finally:
            await broker.close()

    asyncio.run(run())


def counts(pavane: Pavane, *queues: str) -> list[int | None]:
    found: list[int | None] = []

    async def count(broker: RabbitMQBroker) -> None:
        found.extend(one.ready if one else None for one in await broker.count(queues))

    on_broker(pavane, count)
    return found


def has_run(pavane: Pavane, app: str) -> None:
    """Declare and register, as a version does that starts and ends."""
    with pavane.running(app) as workers:
        workers.wait_until_ready()


def told(document: dict[str, object]) -> list[tuple[str, str, str]]:
    changes = document["changes"]
    assert isinstance(changes, list)
    return [(change["action"], change["kind"], change["name"]) for change in changes]


def test_verify_is_clean_only_when_everything_is_there(pavane: Pavane) -> None:
    empty = pavane.json("topology", "verify", OLD, code=1)
    assert {(action, kind) for action, kind, _ in told(empty)} == {
        ("create", "epoch"),
        ("create", "exchange"),
        ("create", "queue"),
        ("bind", "binding"),
        ("create", "registration"),
    }
    pavane.json("topology", "apply", OLD)
    applied = pavane.json("topology", "verify", OLD, code=1)
    assert told(applied) == [("create", "registration", "stock")]
    has_run(pavane, OLD)
    assert pavane.json("topology", "verify", OLD) == {"clean": True, "changes": []}
    done = pavane("topology", "verify", OLD)
    assert (done.code, "Everything is as it should be." in done.out) == (0, True)
    assert "not seen: set PAVANE_MANAGEMENT_URL" in done.err.replace("\n", " ")


def test_what_an_earlier_version_had_goes_and_another_service_stays(pavane: Pavane) -> None:
    n = names(pavane)
    has_run(pavane, MAIL)
    has_run(pavane, OLD)
    has_run(pavane, NEW)
    left = [
        ("unbind", "binding", f"{n.event('left.moved')} -> {n.queue('stock', 'reserve')}"),
        ("delete", "queue", n.undo_queue("stock", "reserve")),
        ("delete", "queue", n.queue("stock", "weigh")),
        ("delete", "queue", n.dead_letter_queue("stock", "weigh")),
        ("delete", "exchange", n.event("left.weighed")),
    ]
    assert told(pavane.json("topology", "verify", NEW, code=1)) == left
    dry = pavane.json("topology", "prune", NEW, "--dry-run", code=1)
    assert (dry["clean"], told(dry)) == (False, left)
    refused = pavane("topology", "prune", NEW, "--json")
    assert (refused.code, refused.error["code"]) == (2, "usage_error")
    assert told(pavane.json("topology", "verify", NEW, code=1)) == left, "nothing was changed so far"
    done = pavane.json("topology", "prune", NEW, "--yes")
    assert (done["clean"], told(done)) == (True, left)
    assert pavane.json("topology", "prune", NEW, "--yes") == {"clean": True, "changes": []}
    for app in (NEW, MAIL):
        assert pavane.json("topology", "verify", app) == {"clean": True, "changes": []}
    assert counts(pavane, *(name for _, kind, name in left if kind == "queue")) == [None] * 3

    async def emit(broker: RabbitMQBroker) -> None:
        await broker.publish(Message(b"{}"), ToSubscribers("left.moved"))

    on_broker(pavane, emit)  # mail hears it
    assert counts(pavane, n.queue("stock", "reserve"), n.queue("mail", "send")) == [0, 1]


def test_what_holds_messages_or_runs_is_refused_with_a_remedy_and_loses_nothing(pavane: Pavane) -> None:
    n = names(pavane)
    jobs, letters = n.queue("stock", "weigh"), n.dead_letter_queue("stock", "weigh")
    with pavane.running(OLD) as workers:
        workers.wait_until_ready()
        found = pavane.json("topology", "prune", NEW, "--yes", code=1)
        changes = {change["name"]: change for change in found["changes"]}
        assert changes[jobs]["current"] == "1 consumers"
        assert "Stop the processes" in changes[jobs]["remedy"]
        assert changes[letters]["current"] == f"it goes together with {jobs}"
        binding = changes[f"{n.event('left.moved')} -> {n.queue('stock', 'reserve')}"]
        assert "start the new one" in binding["remedy"]
        assert counts(pavane, jobs, letters) == [0, 0], "nothing of what runs was taken away"
    has_run(pavane, NEW)

    async def fill(broker: RabbitMQBroker) -> None:
        await broker.publish(Message(b"job"), ToQueue(jobs))
        await broker.publish(Message(b"letter"), ToDeadLetters(letters))

    on_broker(pavane, fill)
    found = pavane.json("topology", "prune", NEW, "--yes", code=1)
    changes = {change["name"]: change for change in found["changes"]}
    assert (changes[jobs]["current"], changes[letters]["current"]) == ("1 messages", "1 messages")
    assert "dlq ls --worker stock.weigh" in changes[letters]["remedy"]
    assert counts(pavane, jobs, letters) == [1, 1]
    moved = n.event("left.moved")
    assert changes[moved]["current"] == f"it goes together with {jobs}"
    left = {name for _, _, name in told(pavane.json("topology", "verify", NEW, code=1))}
    assert left == {jobs, letters, moved}

    async def empty(broker: RabbitMQBroker) -> None:
        for queue in (jobs, letters):
            delivery = await broker.get(queue)
            assert delivery is not None
            delivery.ack()

    on_broker(pavane, empty)
    assert pavane.json("topology", "prune", NEW, "--yes")["clean"] is True
    assert pavane.json("topology", "verify", NEW) == {"clean": True, "changes": []}


def test_the_management_api_shows_what_no_registration_names(pavane: Pavane, managed: RabbitServer) -> None:
    n = names(pavane)
    seeing = Pavane(pavane.environment | {"PAVANE_MANAGEMENT_URL": managed.management_url})
    has_run(pavane, MAIL)
    has_run(pavane, NEW)
    assert seeing.json("topology", "verify", NEW) == {"clean": True, "changes": []}
    managed.rabbitmqctl(
        "eval",
        f'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"{n.namespace}.q.stock.mine">>), true, false, '
        '[], none, <<"guest">>).',
    )

    async def cut(broker: RabbitMQBroker) -> None:
        await broker.unsubscribe(n.queue("stock", "reserve"), "left.placed")

    on_broker(pavane, cut)
    assert pavane.json("topology", "verify", NEW)["clean"] is True, "not seen"
    found = seeing.json("topology", "verify", NEW, code=1)
    assert told(found) == [
        ("bind", "binding", f"{n.event('left.placed')} -> {n.queue('stock', 'reserve')}"),
        ("delete", "queue", f"{n.namespace}.q.stock.mine"),
    ]
    assert seeing("topology", "verify", NEW).err == ""


def test_a_management_api_that_does_not_answer_is_code_4_without_its_password(pavane: Pavane) -> None:
    away = Pavane(pavane.environment | {"PAVANE_MANAGEMENT_URL": "http://eve:secret@127.0.0.1:1"})
    done = away("topology", "verify", NEW, "--json")
    assert (done.code, done.error["code"]) == (4, "broker_unavailable")
    assert "127.0.0.1:1" in done.error["message"]
    assert "secret" not in done.out + done.err
