"""What the management API sees beside a topology, and what it misses in it."""

from __future__ import annotations

from dataclasses import replace

from pavane.adapters.rabbitmq.management import Present
from pavane.adapters.rabbitmq.surplus import differences
from pavane.adapters.rabbitmq.topology import Binding, declarations
from pavane.core.topology import Topology, WorkerTopology

TOPOLOGY = Topology("ns", (WorkerTopology("stock", "reserve", ("order.placed",)),))
WANTED = declarations(TOPOLOGY)
ALL = Present(
    queues={queue.name: 0 for queue in WANTED.queues},
    exchanges=frozenset(exchange.name for exchange in (*WANTED.exchanges, WANTED.mark)),
    bindings=frozenset(WANTED.bindings),
)


def told(present: Present, *others: str) -> list[tuple[str, str]]:
    return [(change.action, change.name) for change in differences(TOPOLOGY, present, others)]


def test_what_is_as_wanted_differs_in_nothing() -> None:
    assert told(ALL) == []


def test_a_binding_that_is_missing_is_named() -> None:
    lost = Binding("ns.event.order.placed", "", "ns.q.stock.reserve")
    assert told(replace(ALL, bindings=ALL.bindings - {lost})) == [
        ("bind", "ns.event.order.placed -> ns.q.stock.reserve")
    ]


def test_what_a_missing_queue_lacks_is_a_plans_affair() -> None:
    queues = {name: 0 for name in ALL.queues if name != "ns.q.stock.reserve"}
    bindings = frozenset(each for each in ALL.bindings if each.target in queues or each.kind == "exchange")
    assert told(replace(ALL, queues=queues, bindings=bindings)) == []


def test_what_nobody_names_is_left_over_and_other_services_and_namespaces_are_left_alone() -> None:
    queues = {"ns.q.stock.old": 3, "ns.own": 0, "ns.q.mail.send": 0, "ns.intake.mail": 0, "nsx.q.stock.a": 0}
    bindings = {
        Binding("ns.event.old.event", "", "ns.q.stock.reserve"),
        Binding("ns.event.mail.wanted", "", "ns.q.mail.send"),
    }
    present = Present(
        {**ALL.queues, **queues}, ALL.exchanges | {"ns.wrong", "amq.topic"}, ALL.bindings | bindings
    )
    assert told(present, "mail") == [
        ("unbind", "ns.event.old.event -> ns.q.stock.reserve"),
        ("delete", "ns.own"),
        ("delete", "ns.q.stock.old"),
        ("delete", "ns.wrong"),
    ]
    assert ("delete", "ns.q.mail.send") in told(present), "a service that nobody knows is left over too"


def test_exchanges_of_other_services_and_their_events_are_left_alone() -> None:
    mails = {"ns.jobs.mail", "ns.dlx.mail", "ns.delay.mail.00", "ns.delay.mail.out"}
    present = replace(ALL, exchanges=ALL.exchanges | mails | {"ns.event.mail.sent", "ns.event.old.event"})
    assert [change.name for change in differences(TOPOLOGY, present, ["mail"], ["mail.sent"])] == [
        "ns.event.old.event"
    ]
    assert {name for _, name in told(present)} == {*mails, "ns.event.mail.sent", "ns.event.old.event"}
