"""A run drawn over its definition: runs of the harness, and records that the app does not know."""

from __future__ import annotations

from datetime import UTC, datetime

from pavane import App, Context, Event, Reject, Service, UndoContext, Workflow
from pavane.core.drawing.definitions import Definitions, graph_of
from pavane.core.drawing.graph import Graph, Link, Node
from pavane.core.drawing.happened import Happened, draw_over
from pavane.model.views import Attempt, EventRecord, RunStatus, Step, UndoInfo
from pavane.testing import Harness

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Asked(Event, name="run.asked"):
    order: str
    refuse: bool = False


class Held(Event, name="run.held"):
    order: str
    refuse: bool


class Paid(Event, name="run.paid"):
    order: str


class Declined(Event, name="run.declined"):
    order: str


class Reminded(Event, name="run.reminded"):
    order: str


class Forgotten(Event, name="run.forgotten"):
    order: str


shop = Service("shop")


async def let_go(ctx: UndoContext, event: Asked) -> None:
    """Give back what was held."""


@(shop.queue_worker("hold").retry(max_attempts=3, initial_delay=1).compensate_with(let_go))
async def hold(ctx: Context, event: Asked) -> Held:
    return Held(order=event.order, refuse=event.refuse)


@(shop.queue_worker("pay").emits(Paid, Declined, Forgotten))
async def pay(ctx: Context, event: Held) -> Paid | Declined:
    if event.refuse:
        return Declined(order=event.order)
    ctx.emit(Forgotten(order=event.order))
    return Paid(order=event.order)


@(shop.queue_worker("remind").emits(Reminded))
async def remind(ctx: Context, event: Held) -> None:
    ctx.after(3600, Reminded(order=event.order), key="remind")


@shop.queue_worker("be_reminded")
async def be_reminded(ctx: Context, event: Reminded) -> None:
    return None


app = App(
    services=[shop],
    workflows=[
        Workflow(
            "paying",
            starts_with=Asked,
            run_id=lambda asked: asked.order,
            completes_with=[Paid, Reminded],
            fails_with=[Declined],
        ),
    ],
)
DEFINED = graph_of(Definitions(app.workers, app.workflows, app.events))


async def drawn(harness: Harness, run: str, shown: App = app) -> Graph:
    handle = harness.client.run(run)
    happened = Happened(
        run=await handle.status(), steps=await handle.steps().all(), history=await handle.history().all()
    )
    return draw_over(graph_of(Definitions(shown.workers, shown.workflows, shown.events)), happened)


def states(graph: Graph) -> dict[str, str]:
    return {node.name: node.state for node in graph.nodes}


def became(graph: Graph, name: str) -> tuple[str, ...]:
    return next(node.became for node in graph.nodes if node.name == name)


def taken(graph: Graph) -> set[tuple[str, str]]:
    return {(link.source, link.target) for link in graph.links if link.state == "taken"}


async def start(harness: Harness, **fields: object) -> str:
    handle = await harness.start(app.workflows[0], Asked.model_validate({"order": "1", **fields}))
    await harness.until_idle()
    return handle.run


async def test_a_run_that_completed() -> None:
    async with Harness(app, seed=1) as harness:
        graph = await drawn(harness, await start(harness))
    assert graph.title[0] == "paying:1"
    assert graph.title[1].startswith("completed: run.paid")
    found = states(graph)
    assert (found["shop.hold"], found["shop.pay"]) == ("committed", "committed")
    assert (found["run.asked"], found["run.held"], found["run.paid"]) == ("came", "came", "came")
    assert (found["run.declined"], found["run.reminded"], found["shop.be_reminded"]) == (
        "idle",
        "idle",
        "idle",
    )
    # Nobody subscribes to it, so only the history knows its name.
    assert found["run.forgotten"] == "came"
    assert ("worker:shop.pay", "event:run.forgotten") in taken(graph)
    assert ("worker:shop.pay", "event:run.declined") not in taken(graph)
    assert became(graph, "run.paid") == ("ended the run",)


async def test_a_run_that_was_undone_says_so_with_its_attempts() -> None:
    async with Harness(app, seed=1) as harness:
        harness.fail("shop.hold", ConnectionError("away"), times=2)
        run = await start(harness, refuse=True)
        await harness.advance(600)
        graph = await drawn(harness, run)
    assert graph.title[1].startswith("compensated: run.declined, after ")
    assert states(graph)["shop.hold"] == "undone"
    assert became(graph, "shop.hold") == ("undone", "3 attempts")
    assert states(graph)["run.declined"] == "came"


async def test_a_run_that_is_stalled_shows_the_dead_step_and_its_error() -> None:
    async with Harness(app, seed=1) as harness:
        harness.fail("shop.pay", Reject('no "bank"\n  <knows> us'))
        graph = await drawn(harness, await start(harness))
    assert graph.title[1].startswith("stalled: dead:shop.pay:")
    assert any(line.startswith("waits for dead_letter ") for line in graph.title)
    assert states(graph)["shop.pay"] == "dead"
    assert became(graph, "shop.pay") == ("dead", 'error: Reject: no "bank" <knows> us')


def event(name: str, number: int = 1) -> EventRecord:
    return EventRecord(id=f"{name}/{number}", name=name, version=1, time=NOW, payload={})


def run_status(**fields: object) -> RunStatus:
    given = {"status": "running", "phase": "running", **fields}
    return RunStatus.model_validate(
        {
            "run": "paying:1",
            "workflow": "paying",
            "run_id": "1",
            "started_at": NOW,
            "updated_at": NOW,
            **given,
        }
    )


def step(worker: str, status: str, on: EventRecord | None, **fields: object) -> Step:
    record = {"step_id": f"{worker}:{on.id if on else ''}", "worker": worker, "status": status, "event": on}
    return Step.model_validate({**record, **fields})


def test_what_the_app_does_not_know_is_drawn_all_the_same() -> None:
    steps = [step("far.away", "committed", event("run.held"), result=event("far.done"))]
    graph = draw_over(DEFINED, Happened(run=run_status(), steps=steps, timers=[("far.later", NOW)]))
    assert Link(source="event:run.held", target="worker:far.away", kind="hears", state="taken") in graph.links
    assert Link(source="worker:far.away", target="event:far.done", kind="sends", state="taken") in graph.links
    assert states(graph)["far.away"] == "committed"
    later = next(node for node in graph.nodes if node.name == "far.later")
    assert later == Node(
        kind="event", name="far.later", became=("due at 2026-01-01 00:00:00 UTC",), state="waiting"
    )


def test_several_steps_of_a_worker_are_counted_and_the_worst_is_its_colour() -> None:
    held = [event("run.held", number) for number in range(4)]
    steps = [
        step("shop.pay", "committed", held[0]),
        step("shop.pay", "dead", held[1], error="no", error_type="ValueError", attempt=5),
        step("shop.pay", "committed", held[2]),
        step("shop.pay", "refused", held[3]),
    ]
    graph = draw_over(DEFINED, Happened(run=run_status(), steps=steps))
    assert states(graph)["shop.pay"] == "dead"
    assert became(graph, "shop.pay") == (
        "1 dead, 2 committed, 1 refused",
        "5 attempts",
        "error: ValueError: no",
    )
    assert became(graph, "run.held") == ("4 times",)


def test_a_refused_step_is_a_link_of_its_own_look() -> None:
    graph = draw_over(
        DEFINED, Happened(run=run_status(), steps=[step("shop.pay", "refused", event("run.held"))])
    )
    [link] = [
        link for link in graph.links if (link.source, link.target) == ("event:run.held", "worker:shop.pay")
    ]
    assert link.state == "refused"


def test_an_undo_tells_what_it_took_and_what_went_wrong() -> None:
    attempts = [
        Attempt(attempt=number, started_at=NOW, outcome="failed", error="gone", error_type="OSError")
        for number in (1, 2)
    ]
    undo = UndoInfo(status="undo_stuck", outcome="unknown", attempts=attempts)
    steps = [step("shop.hold", "undo_stuck", event("run.asked"), undo=undo)]
    graph = draw_over(DEFINED, Happened(run=run_status(phase="compensating", status="stalled"), steps=steps))
    assert became(graph, "shop.hold") == (
        "undo stuck",
        "undone without knowing its outcome",
        "2 attempts of its undo",
        "error: OSError: gone",
    )


def test_a_message_that_nobody_could_read_has_no_event_and_is_drawn() -> None:
    graph = draw_over(DEFINED, Happened(run=run_status(), steps=[step("shop.pay", "dead", None, error="?")]))
    assert states(graph)["shop.pay"] == "dead"


both = Service("both")


@both.queue_worker("left")
async def left(ctx: Context, event: Asked) -> Held:
    return Held(order=event.order, refuse=event.refuse)


@both.queue_worker("right")
async def right(ctx: Context, event: Asked) -> Reminded:
    return Reminded(order=event.order)


@both.queue_worker("meet").on_all(Held, Reminded)
async def meet(ctx: Context, held: Held, reminded: Reminded) -> Paid:
    return Paid(order=held.order)


meeting = App(
    services=[both],
    workflows=[
        Workflow("meeting", starts_with=Asked, run_id=lambda asked: asked.order, completes_with=[Paid])
    ],
)


async def test_a_join_waits_and_then_all_that_it_joined_led_to_it() -> None:
    async with Harness(meeting, seed=1) as harness:
        harness.hold("both.right")
        handle = await harness.start(meeting.workflows[0], Asked(order="1"))
        await harness.until_idle()
        waiting = await drawn(harness, handle.run, meeting)
        harness.release("both.right")
        await harness.until_idle()
        joined = await drawn(harness, handle.run, meeting)
    assert states(waiting)["both.meet"] == "waiting"
    assert became(waiting, "both.meet") == ("waits for the rest",)
    assert states(joined)["both.meet"] == "committed"
    assert {("event:run.held", "worker:both.meet"), ("event:run.reminded", "worker:both.meet")} < taken(
        joined
    )
    # The event that a join's job has of its own is nobody's business.
    assert {node.name for node in joined.nodes} == {
        *("run.asked", "run.held", "run.reminded", "run.paid"),
        *("both.left", "both.right", "both.meet"),
    }
