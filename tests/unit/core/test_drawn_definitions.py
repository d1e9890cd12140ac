"""What is drawn of an app: who hears and sends what, the starts, the endings, the undos."""

from __future__ import annotations

from typing import Any

import pytest

from pavane import App, Context, Event, Service, UndoContext, Workflow
from pavane.core.drawing.definitions import Definitions, graph_of
from pavane.core.drawing.dot import dot
from pavane.core.drawing.graph import Graph, Node
from pavane.core.drawing.mermaid import mermaid
from pavane.core.drawing.svg import svg
from pavane.events import StepDeadLettered
from tests.unit.core.drawing_samples import order_flow


class Begun(Event, name="drawn.begun"):
    pass


class Worked(Event, name="drawn.worked"):
    pass


class Done(Event, name="drawn.done"):
    pass


class Failed(Event, name="drawn.failed"):
    pass


class Thanked(Event, name="drawn.thanked"):
    pass


class Weather(Event, name="drawn.weather"):
    pass


class OtherBegun(Event, name="drawn.other_begun"):
    pass


class OtherDone(Event, name="drawn.other_done"):
    pass


def drawn_app() -> App:
    service, other = Service("shop"), Service("elsewhere")

    @service.queue_worker("work", "Does the work").on_exhausted(give_up).compensate_with(unwork)
    async def work(ctx: Context, event: Begun) -> Worked:
        return Worked()

    @service.queue_worker("finish").on_exhausted("compensate").emits(Done, OtherBegun)
    async def finish(ctx: Context, event: Worked | Weather) -> Done:
        return Done()

    @service.queue_worker("thank")
    async def thank(ctx: Context, event: Done) -> Thanked:
        return Thanked()

    @service.queue_worker("watch")
    async def watch(ctx: Context, event: StepDeadLettered) -> None:
        return None

    @other.queue_worker("follow")
    async def follow(ctx: Context, event: OtherBegun) -> OtherDone:
        return OtherDone()

    return App(
        services=[service, other],
        workflows=[
            Workflow("shopping", starts_with=Begun, completes_with=[Done], fails_with=[Failed]),
            Workflow("following", starts_with=OtherBegun, completes_with=[OtherDone]),
        ],
        events=[Weather],
    )


def give_up(event: Begun, failure: Any) -> Failed:
    return Failed()


async def unwork(ctx: UndoContext, event: Begun) -> None:
    """Take back what was done."""


APP = drawn_app()
ALL = Definitions(APP.workers, APP.workflows, APP.events)


def node(graph: Graph, name: str) -> Node:
    [found] = [node for node in graph.nodes if node.name == name]
    return found


def test_every_worker_and_event_is_there_with_what_joins_them() -> None:
    graph = graph_of(ALL)
    assert {node.name for node in graph.nodes if node.kind == "worker"} == {w.full_name for w in APP.workers}
    links = {(link.source.split(":")[1], link.target.split(":")[1], link.kind) for link in graph.links}
    assert len(links) == len(graph.links)
    assert {link for link in links if "shop.work" in link[:2]} == {
        ("drawn.begun", "shop.work", "hears"),
        ("shop.work", "drawn.worked", "sends"),
        ("shop.work", "drawn.failed", "answers"),
    }
    assert {link for link in links if "shop.finish" in link[:2]} == {
        ("drawn.worked", "shop.finish", "hears"),
        ("drawn.weather", "shop.finish", "hears"),
        ("shop.finish", "drawn.done", "sends"),
        ("shop.finish", "drawn.other_begun", "sends"),
    }


@pytest.mark.parametrize(
    ("name", "roles", "notes"),
    [
        ("drawn.begun", ("start",), ("starts shopping",)),
        ("drawn.done", ("completes",), ("completes shopping",)),
        ("drawn.failed", ("fails",), ("fails shopping",)),
        ("drawn.weather", ("outside",), ("from outside",)),
        ("drawn.thanked", ("closing",), ()),
        ("drawn.worked", (), ()),
        ("pavane.step_dead_lettered", ("framework",), ("from pavane itself",)),
        ("shop.work", (), ("undo: unwork", "if exhausted: drawn.failed")),
        ("shop.finish", (), ("if exhausted: compensate",)),
        ("shop.thank", ("closing",), ("closing",)),
        ("shop.watch", ("closing",), ("closing",)),
    ],
)
def test_what_is_special_is_marked_in_look_and_in_words(
    name: str, roles: tuple[str, ...], notes: tuple[str, ...]
) -> None:
    found = node(graph_of(ALL), name)
    assert (found.roles, found.notes) == (roles, notes)


def test_a_worker_says_what_it_is_for() -> None:
    assert node(graph_of(ALL), "shop.work").about == "Does the work"


def test_of_one_workflow_only_what_can_follow_from_its_start_is_drawn() -> None:
    shopping, following = (graph_of(ALL.part_of(workflow)) for workflow in APP.workflows)
    names = {node.name for node in shopping.nodes}
    assert {"shop.work", "shop.finish", "shop.thank", "shop.watch", "drawn.weather", "drawn.failed"} < names
    assert "drawn.other_begun" in names
    assert "elsewhere.follow" not in names
    names = {node.name for node in following.nodes}
    # What pavane itself sends is about every run.
    assert names == {
        "drawn.other_begun",
        "drawn.other_done",
        "elsewhere.follow",
        "pavane.step_dead_lettered",
        "shop.watch",
    }


def test_the_order_flow_is_all_there() -> None:
    graph = order_flow()
    undone = {node.name: node.notes for node in graph.nodes if any("undo" in note for note in node.notes)}
    assert undone == {
        "inventory.reserve_stock": ("undo: release_stock",),
        "payments.charge_payment": ("undo: refund_payment",),
        "shipping.create_shipment": ("undo: recall_shipment",),
    }
    assert [node.name for node in graph.nodes if "start" in node.roles] == ["order.placed"]
    assert [node.name for node in graph.nodes if "completes" in node.roles] == ["order.confirmed"]
    assert {node.name for node in graph.nodes if "fails" in node.roles} == {
        "stock.unavailable",
        "payment.declined",
        "shipment.refused",
    }


def joining_app() -> App:
    service = Service("both")

    @service.queue_worker("left")
    async def left(ctx: Context, event: Begun) -> Worked:
        return Worked()

    @service.queue_worker("right")
    async def right(ctx: Context, event: Begun) -> Weather:
        return Weather()

    @service.queue_worker("meet").on_all(Worked, Weather).compensate_with(unmeet)
    async def meet(ctx: Context, worked: Worked, weather: Weather) -> Done:
        return Done()

    @service.queue_worker("archive").on_all(Worked, Done)
    async def archive(ctx: Context, worked: Worked, done: Done) -> Thanked:
        return Thanked()

    return App(services=[service], workflows=[Workflow("meeting", starts_with=Begun, completes_with=[Done])])


async def unmeet(ctx: UndoContext, worked: Worked, weather: Weather) -> None:
    """Take back what was done with both."""


def test_a_join_is_seen_to_be_one_in_every_format() -> None:
    app = joining_app()
    graph = graph_of(Definitions(app.workers, app.workflows, app.events))
    meet, archive = node(graph, "both.meet"), node(graph, "both.archive")
    assert (meet.roles, meet.notes) == (("join",), ("once, when all are there", "undo: unmeet"))
    # It waits for the end, whatever else it waits for.
    assert (archive.roles, archive.notes) == (("closing", "join"), ("once, when all are there", "closing"))
    assert node(graph, "drawn.thanked").roles == ("closing",)
    assert {link.source for link in graph.links if link.target == meet.id} == {
        "event:drawn.worked",
        "event:drawn.weather",
    }
    assert 'w_both_meet[["both.meet' in mermaid(graph)
    assert 'w_both_left["both.left' in mermaid(graph)
    [drawn] = [line for line in dot(graph).splitlines() if line.startswith("    w_both_meet [")]
    assert 'peripheries="2"' in drawn
    assert 'class="worker join"' in svg(graph)
