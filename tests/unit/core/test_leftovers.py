"""What of the broker's furniture earlier definitions had and the present ones have no use for."""

from __future__ import annotations

from pavane.core.choreography import Choreography, Program, Worker
from pavane.core.leftovers import (
    LeftBinding,
    left_events,
    left_over,
    topology_of,
    words_for,
    words_of,
)
from pavane.core.topology import Topology, WorkerTopology
from pavane.model.source import Place

NOW = Topology(
    "ns",
    (
        WorkerTopology("stock", "reserve", ("order.placed",), undo=True),
        WorkerTopology("stock", "count", ("order.placed", "stock.moved")),
    ),
)


def test_what_is_declared_is_remembered_by_worker_and_event() -> None:
    assert words_of(NOW) == {
        "stock.reserve",
        "stock.reserve order.placed",
        "stock.count",
        "stock.count order.placed",
        "stock.count stock.moved",
    }
    assert words_for({"a.b": ()}) == {"a.b"}


def test_of_the_present_definitions_only_undo_queues_that_nobody_needs_may_be_left() -> None:
    left = left_over(NOW, words_of(NOW))
    assert [queue.name for queue in left.queues] == ["ns.undo.stock.count"]
    assert not left.queues[0].is_of_none
    assert left.bindings == ()


def test_a_worker_that_is_gone_leaves_its_queues_and_the_letters_last() -> None:
    left = left_over(NOW, words_for({"stock.weigh": ("order.placed", "old.event")}))
    queues = [queue for queue in left.queues if queue.worker == "stock.weigh"]
    assert [queue.name for queue in queues] == [
        "ns.q.stock.weigh",
        "ns.undo.stock.weigh",
        "ns.dlq.stock.weigh",
    ]
    assert sorted(queues[0].events) == ["old.event", "order.placed"]
    assert all(queue.is_of_none for queue in queues)
    assert left.bindings == (), "they go with the queue"


def test_an_event_that_a_worker_has_left_is_still_bound() -> None:
    left = left_over(NOW, words_for({"stock.reserve": ("order.placed", "order.changed")}))
    assert left.bindings == (LeftBinding("order.changed", "ns.q.stock.reserve", "stock.reserve"),)
    assert left.bindings[0].word == "stock.reserve order.changed"


def test_an_event_is_left_over_when_no_definitions_and_no_other_service_speak_of_it() -> None:
    own = words_for({"stock.reserve": ("order.changed",)}, {"stock.weigh": ("stock.weighed", "order.placed")})
    assert own == {
        "stock.reserve",
        "stock.reserve order.changed",
        "stock.weigh >stock.weighed",
        "stock.weigh >order.placed",
    }
    assert [(left.event, left.words) for left in left_events(NOW, own)] == [
        ("order.changed", ("stock.reserve order.changed",)),
        ("stock.weighed", ("stock.weigh >stock.weighed",)),
    ]
    assert left_events(NOW, words_of(NOW)) == ()
    for others in (
        words_for({"mail.send": ("stock.weighed",)}),
        words_for({}, {"mail.send": ("stock.weighed",)}),
    ):
        assert [left.event for left in left_events(NOW, own | others)] == ["order.changed"]
        assert left_events(NOW, others) == (), "what another service has is its own affair"


def test_what_a_worker_emits_is_no_queue() -> None:
    left = left_over(NOW, words_for({}, {"stock.reserve": ("stock.reserved",)}))
    assert left == left_over(NOW, ())


def test_another_service_leaves_nothing_here() -> None:
    others = words_for({"stocks.weigh": ("order.placed",), "payments.charge": ("order.placed",)})
    assert left_over(NOW, others) == left_over(NOW, ())


def test_several_programs_need_one_topology() -> None:
    programs = [
        Program(name="a", workers=(Worker(name="stock.reserve", hears=("order.placed",), has_undo=True),)),
        Program(
            name="b",
            workers=(
                Worker(name="mail.send", hears=("order.done",), max_dead_letters=7, place=Place("b.py", 1)),
            ),
        ),
    ]
    assert topology_of("ns", Choreography(programs)) == Topology(
        "ns",
        (
            WorkerTopology("stock", "reserve", ("order.placed",), undo=True),
            WorkerTopology("mail", "send", ("order.done",), max_dead_letters=7),
        ),
    )
