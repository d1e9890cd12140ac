"""How far RabbitMQ's permissions keep a service to its own, on the topology as it is; docs/decisions.md says why.

`payments` has the least rights with which it can still work: read its own queues, write to the exchanges it
publishes to, and, where a routing key is looked at (topic exchanges), its own keys. The tests of direct exchanges
and of `CC` show what is not kept out; when they fail, the topology has learnt to, and `topology export` can be
built.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiormq
import pytest
from aiormq.exceptions import ChannelAccessRefused
from pamqp.commands import Basic

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.adapters.rabbitmq.topology import delay_route
from pavane.core.topology import Names, Topology, WorkerTopology
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Address, Delivery, Message, ToQueue, ToSubscribers
from tests.integration.cli_runner import APP, Pavane
from tests.servers import RabbitServer, RedisServer

NAMES = Names("perm")
TOPOLOGY = Topology(
    "perm",
    (
        WorkerTopology("payments", "charge", ("stock.reserved",)),
        WorkerTopology("stock", "reserve", ("order.placed",), undo=True),
        WorkerTopology("mail", "tell", ("payment.charged",)),
    ),
)
OWN, FOREIGN = NAMES.queue("payments", "charge"), NAMES.queue("stock", "reserve")


@dataclass(frozen=True)
class Stage:
    """The same namespace as the operator has it, and as the user `payments` has it."""

    operator: RabbitMQBroker
    payments: RabbitMQBroker
    url: str


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitServer]:
    server = RabbitServer()
    yield server.start()
    server.close()


@pytest.fixture(scope="module")
def url(server: RabbitServer) -> str:
    """Of the user `payments`."""
    password = secrets.token_hex(8)
    server.rabbitmqctl("add_user", "payments", password)
    server.rabbitmqctl(
        *("set_permissions", "payments", "^$"),
        r"^perm\.(events|jobs|dlx|delay\.[0-9]{2})$",
        r"^perm\.(q|undo|dlq|intake)\.payments(\.|$)",
    )
    keys = {
        NAMES.exchange("events"): r"^payment\.charged$",
        NAMES.exchange("delay.00"): r"^([01]\.){16}perm:(q|undo|intake):payments(:|$)",
    }
    for exchange, key in keys.items():
        server.rabbitmqctl("set_topic_permissions", "payments", exchange, key, "^$")
    return f"amqp://payments:{password}@127.0.0.1:{server.port}/"


@pytest.fixture
async def stage(server: RabbitServer, url: str) -> AsyncIterator[Stage]:
    operator, payments = (RabbitMQBroker(each, namespace="perm") for each in (server.url, url))
    await operator.open()
    await operator.declare(TOPOLOGY)
    await payments.open()
    yield Stage(operator, payments, url)
    await payments.close()
    for queue in (OWN, FOREIGN, NAMES.queue("mail", "tell"), NAMES.undo_queue("stock", "reserve")):
        while delivery := await operator.get(queue):
            delivery.ack()
    await operator.close()


async def refused(stage: Stage, to: Address) -> None:
    with pytest.raises(BrokerUnavailable) as refusal:
        await stage.payments.publish(Message(b"{}"), to)
    assert isinstance(refusal.value.__cause__, ChannelAccessRefused)


async def ready(stage: Stage, queue: str) -> int:
    [count] = await stage.operator.count([queue])
    assert count is not None
    return count.ready


async def test_it_can_do_its_own_work(stage: Stage) -> None:
    await stage.payments.publish(Message(b"{}"), ToSubscribers("payment.charged"))
    await stage.payments.publish(Message(b"{}"), ToQueue(OWN, 250))
    await stage.operator.publish(Message(b"{}"), ToQueue(OWN))
    delivery = await stage.payments.get(OWN)
    assert delivery is not None
    delivery.ack()
    assert await ready(stage, NAMES.queue("mail", "tell")) == 1


async def test_it_cannot_publish_another_services_event(stage: Stage) -> None:
    await refused(stage, ToSubscribers("order.placed"))
    assert await ready(stage, FOREIGN) == 0


async def test_it_cannot_reach_another_services_queue_over_the_wheel(stage: Stage) -> None:
    await refused(stage, ToQueue(FOREIGN, 250))


async def test_it_can_neither_read_nor_remove_another_services_queue(stage: Stage) -> None:
    with pytest.raises(BrokerUnavailable):
        await stage.payments.get(FOREIGN)
    with pytest.raises(BrokerUnavailable):
        await stage.payments.remove(FOREIGN, ("order.placed",))
    assert await ready(stage, FOREIGN) == 0


async def test_a_direct_exchange_asks_for_no_key_so_jobs_and_undos_of_others_are_within_reach(
    stage: Stage,
) -> None:
    for queue in (FOREIGN, NAMES.undo_queue("stock", "reserve")):
        await stage.payments.publish(Message(b"forged"), ToQueue(queue))
        assert await ready(stage, queue) == 1


@pytest.mark.parametrize("by", ["events", "wheel"])
async def test_cc_gets_past_a_topic_permission_before_rabbitmq_4_and_the_receiver_refuses_it(
    stage: Stage, server: RabbitServer, by: str
) -> None:
    exchange, key = delay_route(NAMES, OWN, 250)
    _, foreign = delay_route(NAMES, FOREIGN, 250)
    if by == "events":
        exchange, key, foreign = NAMES.exchange("events"), "payment.charged", "order.placed"
    connection = await aiormq.connect(stage.url)
    channel = await connection.channel()
    properties = Basic.Properties(headers={"CC": [foreign]})
    try:
        await channel.basic_publish(b"forged", exchange=exchange, routing_key=key, properties=properties)
    except ChannelAccessRefused:
        assert _version(server) >= 4
        return
    finally:
        await connection.close()
    assert _version(server) < 4
    arrived: asyncio.Queue[Delivery] = asyncio.Queue()
    await stage.operator.consume(FOREIGN, prefetch=1, receive=arrived.put_nowait)
    delivery = await asyncio.wait_for(arrived.get(), 30)
    assert delivery.problem is not None
    assert "CC" in delivery.problem
    delivery.ack()


def _version(server: RabbitServer) -> int:
    return int(server.rabbitmqctl("version").strip().split(".")[0])


def test_services_work_under_users_of_their_own_that_declare_and_read_nothing_of_others(
    server: RabbitServer, redis_server: RedisServer
) -> None:
    operator = Pavane.on(
        PAVANE_BROKER_URL=server.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE="perm2",
        PAVANE_APP=APP,
        CLI_SHOP_POISON="/nonexistent",
    )
    operator.json("topology", "apply")
    with contextlib.ExitStack() as stack:
        for service in ("stock", "mail"):
            url = _user_of(server, service)
            own = Pavane(operator.environment | {"PAVANE_BROKER_URL": url})
            workers = stack.enter_context(own.running("--only", service, "--declare", "never"))
            workers.wait_until_ready()
        for item, status in (("book", "completed"), ("none", "compensated")):
            payload = f'{{"order":"{secrets.token_hex(4)}","item":"{item}"}}'
            words = ("start", "orders", "--payload", payload, "--wait", "--timeout", "30")
            document = operator.json(*words, code=0 if item == "book" else 1)
            assert document["status"] == status
    assert operator.json("topology", "verify") == {"clean": True, "changes": []}


def _user_of(server: RabbitServer, service: str) -> str:
    """As docs/operations.md says."""
    password = secrets.token_hex(8)
    server.rabbitmqctl("add_user", service, password)
    writes = r"^perm2\.(events|jobs|dlx|delay\.[0-9]{2})$"
    reads = rf"^perm2\.(q|undo|dlq|intake)\.{service}(\.|$)"
    server.rabbitmqctl("set_permissions", service, "^$", writes, reads)
    return f"amqp://{service}:{password}@127.0.0.1:{server.port}/"
