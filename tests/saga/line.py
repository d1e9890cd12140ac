"""A line of four steps with a side branch, all of them undone by their workers; and a book of what was done.

    Begun -> one -> OneDone -> two -> TwoDone -> three -> ThreeDone -> four -> Finished
                    OneDone -> side -> SideDone -> after_side
    Broken, the failing event -> tell -> Told -> told

Every handler can be told by its test what to return instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pavane import App, Context, Event, RetryPolicy, Service, UndoContext, Workflow

LEASE = 1.5
"""Short, because tests on real servers wait for it; three times what a new process needs to be there."""


class Keyed(Event):
    key: str


class Begun(Keyed, name="line.begun"): ...


class OneDone(Keyed, name="line.one_done"): ...


class TwoDone(Keyed, name="line.two_done"): ...


class ThreeDone(Keyed, name="line.three_done"): ...


class SideDone(Keyed, name="line.side_done"): ...


class Finished(Keyed, name="line.finished"): ...


class Broken(Keyed, name="line.broken"):
    by: str = ""


class Told(Keyed, name="line.told"): ...


lines = Workflow(
    "lines",
    starts_with=Begun,
    run_id=lambda event: event.key,
    completes_with=[Finished],
    fails_with=[Broken],
    deadline=600,
)


@dataclass(frozen=True)
class Note:
    """What a handler or undo did: `what` is its name, an undo's with `undo ` before it."""

    what: str
    key: str
    attempt: int
    outcome: str = ""
    done: Event | None = None
    stopping: str | None = None
    idempotency_key: str = ""


@dataclass
class Line:
    """The app, and its book."""

    app: App = field(init=False)
    notes: list[Note] = field(default_factory=list[Note])

    def done(self, key: str, what: str = "") -> list[str]:
        """What was done for a run, in order."""
        return [note.what for note in self.notes if note.key == key and note.what.startswith(what)]

    def undone(self, key: str) -> list[str]:
        """The steps whose undo was called, in order."""
        return [what.removeprefix("undo ") for what in self.done(key, "undo ")]

    def note(self, what: str, key: str) -> Note:
        """The only note of this kind."""
        [found] = [note for note in self.notes if (note.what, note.key) == (what, key)]
        return found


def line(*, timeout: float = 60.0) -> Line:
    """A line of one test; `timeout` of each attempt."""
    built = Line()
    steps = Service("a")

    def add(
        name: str, takes: type[Keyed], *gives: type[Keyed], returns: bool = True, undo: bool = True
    ) -> None:
        async def handler(ctx: Context, event: Any):
            built.notes.append(
                Note(
                    name,
                    event.key,
                    ctx.attempt,
                    stopping=ctx.stopping,
                    idempotency_key=ctx.idempotency_key,
                )
            )
            return gives[0](key=event.key) if returns else None

        async def take_back(ctx: UndoContext, event: Any, done: Any) -> None:
            note = Note(
                f"undo {name}",
                event.key,
                ctx.attempt,
                outcome=ctx.outcome,
                done=done,
                idempotency_key=ctx.idempotency_key,
            )
            built.notes.append(note)

        builder = (
            steps.queue_worker(name)
            .on(takes)
            .emits(*gives)
            .lease(LEASE)
            .timeout(timeout)
            .retry(max_attempts=3, initial_delay=0.25, jitter_mode="none")
        )
        if name == "side":
            builder = builder.prefetch(1)
        if undo:
            policy = RetryPolicy(max_attempts=2, initial_delay=0.25, jitter_mode="none")
            builder = builder.compensate_with(take_back, retry=policy)
        builder.handler(handler)

    add("one", Begun, OneDone, Broken)
    add("two", OneDone, TwoDone, Broken)
    add("side", OneDone, SideDone, Broken)
    add("three", TwoDone, ThreeDone, Broken)
    add("four", ThreeDone, Finished, Broken)
    add("after_side", SideDone, returns=False, undo=False)
    add("tell", Broken, Told)
    add("told", Told, returns=False)
    built.app = App(services=[steps], workflows=[lines])
    return built


def breaks(built: Line, name: str) -> Callable[..., Any]:
    """A handler that returns the failing event."""

    async def handler(ctx: Context, event: Any) -> Broken:
        built.notes.append(Note(name, event.key, ctx.attempt, stopping=ctx.stopping))
        return Broken(key=event.key, by=name)

    return handler
