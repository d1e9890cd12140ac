"""The end of a walk: nothing goes wrong any more, and everything comes to rest."""

from __future__ import annotations

from pavane.core import agenda
from tests.simulation.walks.audit import OVER
from tests.simulation.walks.book import hold_to
from tests.simulation.walks.floor import LEASE, TAKERS
from tests.simulation.walks.moves import commit
from tests.simulation.walks.people import redrive
from tests.simulation.walks.walk import Walk

PATIENCE = 400
"""Moves after which a walk that is not at rest is said to run for ever."""

SETTLED = ("committed", "skipped", "dead", "refused", "undoing", "undone", "undo_stuck")


def mend(walk: Walk) -> None:
    """Publish, deliver, commit, resume and redrive until nothing is left to do; then look at what is left."""
    walk.careful = True
    for _ in range(PATIENCE):
        if not go_on(walk):
            break
        walk.audit()
    else:
        hold_to(False, "P8: the walk does not come to rest")
    hold_to(not walk.book.held, "P4: a job is held for ever")
    show(walk)
    fates(walk)


def go_on(walk: Walk) -> bool:
    """One thing that can be done, or nothing."""
    if walk.book.paused:
        walk.resume()
    elif walk.hands:
        commit(walk)
    elif walk.bag and deliver_all(walk):
        pass
    elif walk.bag or walk.live.outbox or walk.book.timers or walk.book.held or walk.book.leases:
        walk.now += LEASE + 61_000
        walk.tick()
    elif walk.dead:
        redrive(walk)
    else:
        return False
    return True


def deliver_all(walk: Walk) -> bool:
    """Every message once. Says whether that brought anything about."""
    there, walk.bag = walk.bag, []
    for message in there:
        walk.deliver(message)
        walk.audit()
    return bool(walk.hands) or len(walk.bag) < len(there)


def show(walk: Walk) -> None:
    """P8: at rest a run is over, or an hour later it says what it waits for."""
    if walk.book.phase in OVER:
        return
    for _ in range(3):
        walk.now += walk.contract.idle_after
        walk.tick()
    shown = agenda.status_of(walk.live)
    hold_to(walk.book.phase in OVER or shown in ("stalled", "waiting"), f"P8: at rest, and {shown}")
    walk.rules["at rest: listed"] += 1


def fates(walk: Walk) -> None:
    """P1, P4: every event has reached everybody who takes it, or the record says why not."""
    book, steps = walk.book, walk.live.steps
    for event in book.published.values():
        for worker in TAKERS.get(event.name, ()):
            row = steps.get(f"{worker.name}:{event.id}")
            arrived = event.name in book.arrived.get(worker.name, {})
            dropped = worker.joins and book.phase not in ("running", "completed")
            settled = row is not None and row.state in SETTLED
            hold_to(
                settled or (worker.joins and (arrived or dropped)), f"P4: {worker.name} never got {event.id}"
            )
    for worker_name in book.fired:
        row = steps.get(f"{worker_name}:joined/{worker_name}")
        hold_to(row is not None and row.state in SETTLED, f"P4: the join of {worker_name} never ran")
