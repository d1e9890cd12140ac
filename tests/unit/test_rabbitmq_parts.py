"""The parts of the RabbitMQ adapter that need no broker: acknowledgements, topology, the delay wheel."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from pavane.adapters.rabbitmq.acks import Ledger
from pavane.adapters.rabbitmq.topology import Binding, Queue, declarations, delay_route
from pavane.core.topology import (
    LEVELS,
    LONGEST_DELAY,
    UNIT_MS,
    Names,
    Topology,
    WorkerTopology,
    queues_of,
)

TOPOLOGY = Topology(
    "shop",
    (
        WorkerTopology("stock", "reserve", ("order.placed",), undo=True, max_dead_letters=100),
        WorkerTopology("stock", "count", ("order.placed", "stock.moved")),
        WorkerTopology("payments", "charge", ("stock.reserved",)),
    ),
)


def test_the_finished_prefix_is_one_acknowledgement_and_the_rest_go_singly() -> None:
    ledger = Ledger()
    for tag in range(1, 8):
        ledger.delivered(tag)
    for tag in (3, 1, 2, 6, 5, 5, 99):
        ledger.finished(tag)
    assert ledger.take() == (3, [6, 5])
    assert ledger.take() == (None, [])
    ledger.finished(4)
    assert ledger.take() == (4, [])
    ledger.finished(7)
    assert ledger.take() == (7, [])


def test_whatever_the_order_each_delivery_is_acknowledged_once_and_only_when_finished() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(200):
        ledger, unfinished, acknowledged = Ledger(), set[int](), set[int]()
        next_tag = 1
        for _ in range(60):
            for _ in range(chance.randrange(4)):
                ledger.delivered(next_tag)
                unfinished.add(next_tag)
                next_tag += 1
            for tag in chance.sample(sorted(unfinished), chance.randint(0, len(unfinished))):
                ledger.finished(tag)
                unfinished.discard(tag)
            prefix, singles = ledger.take()
            covered = set(range(1, prefix + 1)) - acknowledged if prefix else set[int]()
            assert not covered & unfinished
            assert not covered & set(singles)
            assert not acknowledged & set(singles)
            acknowledged |= covered | set(singles)
            assert acknowledged | unfinished == set(range(1, next_tag))


def test_every_queue_refuses_when_full_and_says_where_its_dead_letters_go() -> None:
    queues = {queue.name: queue.arguments for queue in declarations(TOPOLOGY).queues}
    assert set(queues_of(TOPOLOGY)) <= set(queues)
    for name, arguments in queues.items():
        assert arguments["x-queue-type"] == "quorum", name
        assert arguments["x-overflow"] == "reject-publish", name
        assert isinstance(arguments["x-delivery-limit"], int), name
        assert ("x-dead-letter-strategy" in arguments) == (name != "shop.parked"), name
    targets = {
        name: arguments["x-dead-letter-routing-key"]
        for name, arguments in queues.items()
        if "x-dead-letter-routing-key" in arguments
    }
    assert targets == {
        "shop.q.stock.reserve": "shop.intake.stock",
        "shop.undo.stock.reserve": "shop.intake.stock",
        "shop.dlq.stock.reserve": "shop.intake.stock",
        "shop.q.stock.count": "shop.intake.stock",
        "shop.dlq.stock.count": "shop.intake.stock",
        "shop.q.payments.charge": "shop.intake.payments",
        "shop.dlq.payments.charge": "shop.intake.payments",
        "shop.intake.stock": "shop.parked",
        "shop.intake.payments": "shop.parked",
    }
    assert {name for name, arguments in queues.items() if "x-max-length" in arguments} == {
        "shop.dlq.stock.reserve"
    }
    assert {name for name, arguments in queues.items() if "x-expires" in arguments} == set()


def test_every_binding_joins_things_that_are_declared() -> None:
    wanted = declarations(TOPOLOGY)
    exchanges = {exchange.name for exchange in wanted.exchanges}
    queues = {queue.name for queue in wanted.queues}
    assert wanted.mark.name == "shop.initialised"
    assert wanted.mark.name not in exchanges
    for binding in wanted.bindings:
        assert binding.source in exchanges
        assert binding.target in (queues if binding.kind == "queue" else exchanges)
        assert "#" not in binding.key
    assert len(set(wanted.bindings)) == len(wanted.bindings)


def led_to(source: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """The queues that an exchange can lead to whatever the key: by bindings, by its alternate, over the wheel."""
    wanted = declarations(TOPOLOGY)
    [exchange] = [each for each in wanted.exchanges if each.name == source]
    found = {each.target for each in wanted.bindings if each.source == source and each.kind == "queue"}
    further = {each.target for each in wanted.bindings if each.source == source and each.kind == "exchange"}
    further |= {exchange.alternate} if exchange.alternate else set()
    wheel = {name for name in found if ".delay." in name}
    for queue in wanted.queues:
        if queue.name in wheel:
            further.add(str(queue.arguments["x-dead-letter-exchange"]))
    for name in further - seen:
        found |= led_to(name, seen | further | {source})
    return found - wheel


def test_what_is_named_after_a_service_leads_to_that_service_alone() -> None:
    queues = {name for name in queues_of(TOPOLOGY) if name != "shop.parked"}
    for service in ("stock", "payments"):
        own = {name for name in queues if name.split(".")[2] == service}
        letters = {name for name in own if ".dlq." in name}
        assert led_to(f"shop.jobs.{service}") == own - letters
        assert led_to(f"shop.dlx.{service}") == letters | {f"shop.intake.{service}"}
        for level in range(LEVELS):
            assert led_to(f"shop.delay.{service}.{level:02}") == own - letters | {"shop.parked"}
    assert led_to("shop.dlx") == led_to("shop.delay.lost") == {"shop.parked"}


def test_an_event_leads_to_its_subscribers_and_whoever_emits_it_declares_it() -> None:
    emitting = WorkerTopology("payments", "charge", (), emits=("order.paid",))
    assert led_to("shop.event.order.placed") == {"shop.q.stock.reserve", "shop.q.stock.count"}
    assert led_to("shop.event.stock.reserved") == {"shop.q.payments.charge"}
    assert led_to("shop.event.pavane.run_ended") == set()
    wanted = declarations(Topology("shop", (emitting,)))
    assert Binding("shop.events", "order.paid", "shop.event.order.paid", "exchange") in wanted.bindings


def test_a_queue_alone_brings_its_own_bindings_and_no_other() -> None:
    own = declarations(TOPOLOGY).of_queue("shop.q.stock.count")
    assert own is not None
    assert [queue.name for queue in own.queues] == ["shop.q.stock.count"]
    assert {binding.target for binding in own.bindings} == {"shop.q.stock.count"}
    assert [binding.source for binding in own.bindings if binding.source.startswith("shop.event.")] == [
        "shop.event.order.placed",
        "shop.event.stock.moved",
    ]
    assert declarations(TOPOLOGY).of_queue("shop.q.stock.unknown") is None


def matches(pattern: str, key: str) -> bool:
    """Whether a topic exchange takes `key` for `pattern`; only `*` is used."""
    wanted, words = pattern.split("."), key.split(".")
    return len(wanted) == len(words) and all(w in ("*", word) for w, word in zip(wanted, words, strict=True))


def travel(exchange: str, key: str) -> Iterator[Queue]:
    """The queues that a message passes, as RabbitMQ would route it and its dead letters."""
    wanted = declarations(TOPOLOGY)
    queues = {queue.name: queue for queue in wanted.queues}
    [taken] = [b for b in wanted.bindings if b.source == exchange and matches(b.key, key)]
    while taken.kind == "exchange":
        [taken] = [b for b in wanted.bindings if b.source == taken.target and matches(b.key, key)]
    queue = queues[taken.target]
    yield queue
    if "x-message-ttl" in queue.arguments:
        yield from travel(str(queue.arguments["x-dead-letter-exchange"]), key)


@pytest.mark.parametrize(
    "delay", [1, 249, 250, 251, 1250, 60_000, 3_600_000, LONGEST_DELAY, 10 * LONGEST_DELAY]
)
@pytest.mark.parametrize(
    "target", ["shop.q.stock.reserve", "shop.undo.stock.reserve", "shop.intake.payments"]
)
def test_the_wheel_holds_a_message_for_its_delay_and_lets_it_out_at_its_queue(
    delay: int, target: str
) -> None:
    *levels, last = travel(*delay_route(Names("shop"), target, delay))
    held = sum(int(level.arguments["x-message-ttl"]) for level in levels)
    assert held == min(-(-delay // UNIT_MS) * UNIT_MS, LONGEST_DELAY)
    assert len(levels) == len({level.name for level in levels}) <= LEVELS
    assert last.name == target


def test_the_wheels_bindings_are_exact() -> None:
    """A queue whose name ends like another's must not get the other's messages."""
    keys = [b.key for b in declarations(TOPOLOGY).bindings if b.source.endswith(".out")]
    assert len(keys) == len(set(keys))
    assert {key.count(".") for key in keys} == {LEVELS}


def test_a_routing_key_fits_whatever_the_names() -> None:
    longest = Topology("n" * 32, (WorkerTopology("s" * 63, "w" * 63, ("e" * 128,), undo=True),))
    keys = [binding.key for binding in declarations(longest).bindings]
    assert max(map(len, keys)) <= 255
    assert all(isinstance(binding, Binding) for binding in declarations(longest).bindings)
