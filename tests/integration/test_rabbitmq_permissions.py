"""Servers that were started from the exported files alone: each service does its own work there, and nothing else.

The service `mail` plays the intruder: what `stock` is told, owes and keeps must be out of its reach by every way
that RabbitMQ has, with and without the headers `CC` and `BCC`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiormq
import pytest
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused, ProbableAuthenticationError
from pamqp.commands import Basic
from pamqp.common import FieldTable

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.adapters.rabbitmq.publisher import FORBIDDEN_FOR
from pavane.adapters.rabbitmq.topology import delay_route
from pavane.core.topology import Names
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Address, Forbidden, Message, ToDeadLetters, ToQueue, ToSubscribers
from pavane.testing.conformance.broker_stage import eventually
from tests.integration.cli_runner import APP, Pavane
from tests.users import Users, refusals, servers_of

N = Names("perm")
OWN, OWN_LETTERS = N.queue("mail", "confirm"), N.dead_letter_queue("mail", "confirm")
FOREIGN = {
    "jobs": N.queue("stock", "reserve"),
    "undos": N.undo_queue("stock", "reserve"),
    "letters": N.dead_letter_queue("stock", "reserve"),
    "intake": N.intake("stock"),
}
Act = Callable[[AbstractChannel], Awaitable[object]]


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Users, Any]]:
    """The servers, and what `topology apply` still had to do on them."""
    with servers_of("perm", [APP]) as users:
        yield users, Pavane.on(**users.operator).json("topology", "apply", APP)


@pytest.fixture(scope="module")
def users(started: tuple[Users, Any]) -> Users:
    return started[0]


@pytest.fixture
async def operator(users: Users) -> AsyncIterator[RabbitMQBroker]:
    async with opened(users.operator) as broker:
        yield broker


@pytest.fixture
async def mail(users: Users) -> AsyncIterator[RabbitMQBroker]:
    async with opened(users.service("mail")) as broker:
        yield broker


@contextlib.asynccontextmanager
async def opened(environment: dict[str, str]) -> AsyncIterator[RabbitMQBroker]:
    broker = RabbitMQBroker(environment["PAVANE_BROKER_URL"], namespace="perm")
    await broker.open()
    yield broker
    await broker.close()


@contextlib.asynccontextmanager
async def channel_of(environment: dict[str, str]) -> AsyncIterator[AbstractChannel]:
    """A channel as any program may open it, without pavane's restraint."""
    async with aiormq.connect(environment["PAVANE_BROKER_URL"]) as connection:
        yield await connection.channel()


async def comes_to(operator: RabbitMQBroker, queue: str, number: int) -> None:
    async def there() -> bool:
        [count] = await operator.count([queue])
        return count is not None and count.ready == number

    await eventually(f"{number} messages in {queue}", there)


async def emptied(operator: RabbitMQBroker, *queues: str) -> list[bytes]:
    """What is in these queues; it is taken out."""
    found: list[bytes] = []
    for queue in queues:
        while delivery := await operator.get(queue):
            found.append(delivery.message.body)
            delivery.ack()
    return found


def test_the_file_has_all_that_apply_would_declare_but_the_mark(started: tuple[Users, Any]) -> None:
    assert [change["name"] for change in started[1]["changes"]] == ["perm.initialised"]


async def test_nobody_can_log_in_before_the_operator_has_set_a_password(users: Users) -> None:
    acl = Pavane.on(PAVANE_NAMESPACE="perm").json("topology", "export", APP, "--redis-acl")["acl"]
    assert not any(word.startswith((">", "#", "nopass")) for line in acl for word in line.split())
    newcomer = users.outside["PAVANE_BROKER_URL"].replace("perm.outside", users.newcomer)
    for url in (newcomer, newcomer.replace(users.password, "")):
        assert not await may_log_in(url)
    rabbitmqctl = users.rabbit.rabbitmqctl
    await asyncio.to_thread(rabbitmqctl, "change_password", users.newcomer, users.password)
    assert await may_log_in(newcomer)
    await asyncio.to_thread(rabbitmqctl, "import_definitions", str(users.definitions))
    assert not await may_log_in(newcomer), "the page says that an import takes passwords away"


async def may_log_in(url: str) -> bool:
    try:
        async with aiormq.connect(url):
            return True
    except ProbableAuthenticationError:
        return False


def test_a_process_for_each_service_and_a_client_do_their_work(users: Users) -> None:
    client = Pavane.on(**users.outside, PAVANE_APP=APP)
    with contextlib.ExitStack() as stack:
        for service in ("stock", "mail"):
            own = Pavane.on(**users.service(service), PAVANE_APP=APP, CLI_SHOP_POISON="/nonexistent")
            stack.enter_context(own.running("--only", service)).wait_until_ready()
        for item, status in (("book", "completed"), ("none", "compensated")):
            payload = f'{{"order":"{secrets.token_hex(4)}","item":"{item}"}}'
            words = ("start", "orders", "--payload", payload, "--wait", "--timeout", "30")
            assert client.json(*words, code=0 if item == "book" else 1)["status"] == status
    assert Pavane.on(**users.operator).json("topology", "verify", APP) == {"clean": True, "changes": []}
    assert refusals(users.redis) == []


async def test_a_service_reaches_its_own_queues_and_subscribers(
    operator: RabbitMQBroker, mail: RabbitMQBroker
) -> None:
    message = Message(b"{}")
    for address in (ToQueue(OWN), ToQueue(OWN, 250), ToQueue(N.intake("mail")), ToDeadLetters(OWN_LETTERS)):
        await mail.publish(message, address)
    await mail.publish(message, ToDeadLetters(N.parked))  # what is in its intake and nobody knows
    for unheard in ("cli.confirmed", "pavane.run_ended"):
        with pytest.raises(Exception, match=unheard):
            await mail.publish(message, ToSubscribers(unheard))
    await comes_to(operator, OWN, 2)
    taken = await mail.get(OWN)
    assert taken is not None
    taken.ack()
    await emptied(operator, OWN)
    assert await emptied(operator, OWN_LETTERS, N.intake("mail"), N.parked) == [b"{}"] * 3


FORBIDDEN: dict[str, Address] = {
    "an event of another service": ToSubscribers("cli.reserved"),
    "an event from outside that it does not hear": ToSubscribers("cli.placed"),
    "a job of another service": ToQueue(FOREIGN["jobs"]),
    "an undo of another service": ToQueue(FOREIGN["undos"]),
    "the intake of another service": ToQueue(FOREIGN["intake"]),
    "a job of another service over the wheel": ToQueue(FOREIGN["jobs"], 250),
    "a letter of another service": ToDeadLetters(FOREIGN["letters"]),
}


@pytest.mark.parametrize("what", FORBIDDEN)
async def test_what_is_another_services_is_forbidden_by_name_and_not_tried_again(
    users: Users, operator: RabbitMQBroker, mail: RabbitMQBroker, what: str
) -> None:
    to = FORBIDDEN[what]
    for _ in range(2):
        with pytest.raises(Forbidden) as refusal:
            await mail.publish(Message(b"forged"), to)
        assert refusal.value.target == (to.event if isinstance(to, ToSubscribers) else to.queue)
    # The second time nothing was sent: what is in flight on the same channel is not disturbed.
    own = ToDeadLetters(OWN_LETTERS) if isinstance(to, ToDeadLetters) else ToQueue(OWN)
    if not isinstance(to, ToSubscribers):
        await mail.publish(Message(b"1"), own)
        outcomes = await asyncio.gather(
            *(mail.publish(Message(b"%d" % number), own) for number in range(20)),
            *(mail.publish(Message(b"forged"), to) for _ in range(20)),
            return_exceptions=True,
        )
        assert outcomes[:20] == [None] * 20
        assert {type(outcome) for outcome in outcomes[20:]} == {Forbidden}
    assert await emptied(operator, *FOREIGN.values()) == []
    await emptied(operator, OWN, OWN_LETTERS)


async def test_what_is_in_flight_beside_a_refusal_can_be_sent_again(
    operator: RabbitMQBroker, mail: RabbitMQBroker
) -> None:
    await mail.publish(Message(b"first"), ToQueue(OWN))

    async def insist(body: bytes) -> None:
        while True:
            try:
                return await mail.publish(Message(body), ToQueue(OWN))
            except BrokerUnavailable:
                await asyncio.sleep(0)

    bodies = [b"%d" % number for number in range(50)]
    *outcomes, refusal = await asyncio.gather(
        *(insist(body) for body in bodies),
        mail.publish(Message(b"forged"), ToQueue(FOREIGN["jobs"])),
        return_exceptions=True,
    )
    assert outcomes == [None] * 50
    assert isinstance(refusal, Forbidden)
    assert set(await emptied(operator, OWN)) == {b"first", *bodies}


async def test_a_right_that_was_given_counts_after_a_while(
    users: Users, operator: RabbitMQBroker, mail: RabbitMQBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = ToQueue(FOREIGN["jobs"])
    with pytest.raises(Forbidden):
        await mail.publish(Message(b"before"), forbidden)
    user, everything = "perm.service.mail", r"^perm\."
    before = rights_of(users, user)
    await asyncio.to_thread(users.rabbit.rabbitmqctl, "set_permissions", user, "^$", everything, everything)
    try:
        with pytest.raises(Forbidden):
            await mail.publish(Message(b"still"), forbidden)
        async with opened(users.service("mail")) as again:
            await again.publish(Message(b"after"), forbidden)
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda now=loop.time: now() + FORBIDDEN_FOR)
        await mail.publish(Message(b"after"), forbidden)
    finally:
        monkeypatch.undo()
        await asyncio.to_thread(users.rabbit.rabbitmqctl, "set_permissions", user, *before)
    assert await emptied(operator, FOREIGN["jobs"]) == [b"after"] * 2


def rights_of(users: Users, user: str) -> list[str]:
    told = users.rabbit.rabbitmqctl("list_user_permissions", "--no-table-headers", user)
    return told.strip("\n").split("\t")[1:]


_, _WHEEL_KEY = delay_route(N, FOREIGN["jobs"], 250)
DOORS: dict[str, tuple[str, str]] = {
    "the default exchange": ("", FOREIGN["jobs"]),
    "the door for other systems": (N.exchange("events"), "cli.reserved"),
    "the other's event": (N.event("cli.reserved"), "cli.reserved"),
    "the other's jobs": (N.jobs("stock"), FOREIGN["jobs"]),
    "the other's letters": (N.letters("stock"), FOREIGN["letters"]),
    "the other's wheel": (N.level("stock", 0), _WHEEL_KEY),
    "the end of the other's wheel": (N.last_hop("stock"), _WHEEL_KEY),
    "the end of its own wheel": (N.last_hop("mail"), _WHEEL_KEY),
    "what the wheels have lost": (N.exchange("delay.lost"), ""),
    "an exchange of RabbitMQ's": ("amq.topic", FOREIGN["jobs"]),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("who", ["mail", "outside"])
async def test_every_other_exchange_is_closed(users: Users, who: str, door: str) -> None:
    exchange, key = DOORS[door]
    environment = users.outside if who == "outside" else users.service(who)
    await refused(
        environment, lambda channel: channel.basic_publish(b"forged", exchange=exchange, routing_key=key)
    )


_MAIL_WHEEL, _MAIL_KEY = delay_route(N, OWN, 250)
OWN_DOORS: dict[str, tuple[str, str, list[str]]] = {
    "event": (N.event("cli.confirmed"), "cli.confirmed", ["cli.reserved", FOREIGN["jobs"]]),
    "framework event": (N.event("pavane.run_ended"), "", ["cli.reserved", FOREIGN["jobs"]]),
    "jobs": (N.jobs("mail"), OWN, [FOREIGN["jobs"], FOREIGN["undos"], FOREIGN["intake"]]),
    "letters": (N.letters("mail"), OWN_LETTERS, [FOREIGN["letters"], FOREIGN["intake"]]),
    "wheel": (_MAIL_WHEEL, _MAIL_KEY, [_WHEEL_KEY]),
    "parked": (N.exchange("dlx"), N.parked, [FOREIGN["letters"], FOREIGN["intake"]]),
}


@pytest.mark.parametrize("header", ["key", "CC", "BCC"])
@pytest.mark.parametrize("door", OWN_DOORS)
async def test_through_its_own_exchanges_nothing_of_another_service_is_reached(
    users: Users, operator: RabbitMQBroker, door: str, header: str
) -> None:
    exchange, key, foreign = OWN_DOORS[door]
    wheel = door == "wheel"
    async with channel_of(users.service("mail")) as channel:
        for other in [[each] for each in foreign] if header == "key" else [foreign]:
            copies: FieldTable = {} if header == "key" else {header: [*other]}
            properties = Basic.Properties(headers=copies)
            word = other[0] if header == "key" else key
            await channel.basic_publish(b"forged", exchange=exchange, routing_key=word, properties=properties)
    if wheel:  # through its levels to its end
        await comes_to(operator, N.parked if header == "key" else OWN, 1)
    assert await emptied(operator, *FOREIGN.values()) == []
    await emptied(operator, OWN, OWN_LETTERS, N.parked)


JOBS = FOREIGN["jobs"]
ACTS: dict[str, Act] = {
    "take": lambda channel: channel.basic_get(JOBS),
    "take an undo": lambda channel: channel.basic_get(FOREIGN["undos"]),
    "take a letter": lambda channel: channel.basic_get(FOREIGN["letters"]),
    "take what is parked": lambda channel: channel.basic_get(N.parked),
    "take from the other's wheel": lambda channel: channel.basic_get(N.level("stock", 0)),
    "consume": lambda channel: channel.basic_consume(JOBS, lambda _: asyncio.sleep(0)),
    "purge": lambda channel: channel.queue_purge(JOBS),
    "delete": lambda channel: channel.queue_delete(JOBS),
    "delete its own": lambda channel: channel.queue_delete(OWN),
    "declare": lambda channel: channel.queue_declare(JOBS, durable=True),
    "declare a new one": lambda channel: channel.queue_declare(N.queue("mail", "more")),
    "hear by its own queue": lambda channel: channel.queue_bind(OWN, N.event("cli.placed"), ""),
    "hear everything": lambda channel: channel.queue_bind(OWN, N.exchange("events"), "#"),
    "lead its event elsewhere": lambda channel: channel.queue_bind(JOBS, N.event("cli.confirmed"), ""),
    "cut off": lambda channel: channel.queue_unbind(JOBS, N.event("cli.placed"), ""),
    "join exchanges": lambda channel: channel.exchange_bind(N.jobs("mail"), N.jobs("stock"), "#"),
    "delete an exchange": lambda channel: channel.exchange_delete(N.event("cli.reserved")),
    "declare an exchange": lambda channel: channel.exchange_declare("perm.mine"),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("who", ["mail", "outside"])
async def test_it_neither_reads_nor_changes_what_it_does_not_own(users: Users, who: str, act: str) -> None:
    await refused(users.outside if who == "outside" else users.service(who), ACTS[act])


async def refused(environment: dict[str, str], act: Act) -> None:
    async with channel_of(environment) as channel:
        with pytest.raises(ChannelAccessRefused):
            await act(channel)


async def test_who_starts_runs_may_tell_what_starts_them_and_nothing_else(
    users: Users, operator: RabbitMQBroker
) -> None:
    async with opened(users.outside) as client:
        await client.publish(Message(b"{}"), ToSubscribers("cli.placed"))
        for to in (ToSubscribers("cli.confirmed"), ToSubscribers("cli.reserved"), ToQueue(JOBS)):
            with pytest.raises(Forbidden):
                await client.publish(Message(b"forged"), to)
    assert await emptied(operator, *FOREIGN.values(), OWN) == [b"{}"]
