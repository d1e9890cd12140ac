"""A trip: flight and hotel are booked side by side and joined; the join's step is followed by one more.

Asked -> flight -> Flight
Asked -> hotel  -> Hotel
Flight and Hotel -> complete -> Ready -> confirm -> Booked
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pavane import (
    App,
    Context,
    Event,
    RetryPolicy,
    Service,
    StepFailure,
    UndoContext,
    WorkerBuilder,
    Workflow,
)
from tests.saga.line import LEASE


class Trip(Event):
    key: str


class Asked(Trip, name="sagatrip.asked"): ...


class AskedInParallel(Asked, name="sagatrip.asked_in_parallel"): ...


class Flight(Trip, name="sagatrip.flight"):
    seat: str


class Hotel(Trip, name="sagatrip.hotel"):
    room: str


class Ready(Trip, name="sagatrip.ready"): ...


class Booked(Trip, name="sagatrip.booked"): ...


class Failed(Trip, name="sagatrip.failed"):
    why: str = ""


trips = Workflow(
    "saga_trips",
    starts_with=Asked,
    run_id=lambda event: event.key,
    completes_with=[Booked],
    fails_with=[Failed],
)
parallel_trips = Workflow(
    "saga_parallel_trips",
    starts_with=AskedInParallel,
    run_id=lambda event: event.key,
    completes_with=[Booked],
    fails_with=[Failed],
    undo="parallel",
)


@dataclass
class Travel:
    """The app, what was done (`(what, key)`), and what the join's handlers were called with."""

    app: App = field(init=False)
    notes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    joins: list[tuple[str, tuple[str, str], str]] = field(
        default_factory=list[tuple[str, tuple[str, str], str]]
    )

    def done(self, key: str) -> list[str]:
        return [what for what, of in self.notes if of == key]

    def undone(self, key: str) -> list[str]:
        return [what.removeprefix("undo ") for what in self.done(key) if what.startswith("undo ")]


def travel() -> Travel:
    """A travel agency of one test."""
    built = Travel()
    agency = Service("b")
    policy = RetryPolicy(max_attempts=2, initial_delay=0.25, jitter_mode="none")

    def undo_of(what: str) -> Any:
        async def undo(ctx: UndoContext, event: Any) -> None:
            built.notes.append((f"undo {what}", event.key))

        return undo

    def add(name: str) -> WorkerBuilder[None]:
        return (
            agency.queue_worker(name)
            .lease(LEASE)
            .retry(max_attempts=2, initial_delay=0.25, jitter_mode="none")
            .compensate_with(undo_of(name), retry=policy)
        )

    @add("flight")
    async def flight(ctx: Context, event: Asked | AskedInParallel) -> Flight:
        built.notes.append(("flight", event.key))
        return Flight(key=event.key, seat=f"flight of {event.key}")

    @add("hotel")
    async def hotel(ctx: Context, event: Asked | AskedInParallel) -> Hotel | Failed:
        built.notes.append(("hotel", event.key))
        return Hotel(key=event.key, room=f"hotel of {event.key}")

    async def undo_complete(ctx: UndoContext, a: Flight, b: Hotel, done: Ready | None) -> None:
        built.notes.append(("undo complete", a.key))
        built.joins.append(("undo complete", (a.seat, b.room), ctx.outcome))

    def failed(a: Flight, b: Hotel, failure: StepFailure) -> Failed:
        return Failed(key=a.key, why=f"{a.seat}, {b.room}: {failure.reason}")

    @(
        agency.queue_worker("complete")
        .on_all(Flight, Hotel)
        .lease(LEASE)
        .retry(max_attempts=2, initial_delay=0.25, jitter_mode="none")
        .on_exhausted(failed)
        .compensate_with(undo_complete, retry=policy)
    )
    async def complete(ctx: Context, a: Flight, b: Hotel) -> Ready:
        built.notes.append(("complete", a.key))
        built.joins.append(("complete", (a.seat, b.room), ctx.event.name))
        return Ready(key=a.key)

    @agency.queue_worker("confirm").lease(LEASE)
    async def confirm(ctx: Context, event: Ready) -> Booked:
        return Booked(key=event.key)

    built.app = App(services=[agency], workflows=[trips, parallel_trips])
    return built
