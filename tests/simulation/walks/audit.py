"""The audit: the record beside the book, after every step of a walk."""

from __future__ import annotations

from pavane.core import agenda
from pavane.core.kept import JOINED
from pavane.core.record import Record
from tests.simulation.walks.book import Book, hold_to

OVER = ("completed", "failed", "compensated", "cancelled")


def audit(book: Book, record: Record, now: int, *, tick: bool) -> None:
    """Compare. `tick`: the step was the relay's, the only one that may void leases and mark idleness."""
    leases(book, record, now, tick=tick)
    book.settle()
    phase(book, record)
    outbox(book, record)
    held(book, record)
    listed(book, record)
    undo(book, record)


def leases(book: Book, record: Record, now: int, *, tick: bool) -> None:
    """P6: a token is taken from its holder only when its time is over, and by a tick only in a failing run."""
    for (step, kind), lease in list(book.leases.items()):
        work = record.steps[step].of(kind)
        if work is not None and work.token == lease.token:
            continue
        voided = tick and book.phase == "compensating" and book.waited_for(step, kind)
        hold_to(voided and lease.until <= now, f"P6: {step} loses its token {lease.token}")
        book.let_go(step, kind)
    held_by = sum(1 for step, kind in book.leases if book.waited_for(step, kind))
    hold_to(record.head.leases == held_by, f"the head counts {record.head.leases} leases, not {held_by}")


def phase(book: Book, record: Record) -> None:
    """The first ending wins, and the run ends when its chain does."""
    head = record.head
    hold_to(head.phase == book.phase, f"the run is {head.phase}, not {book.phase}")
    hold_to(head.reason == book.reason, f"the reason is {head.reason!r}, not {book.reason!r}")
    waits = book.phase == "compensating" and book.chain is None
    expected = "waiting" if waits else "running" if book.phase == "compensating" else ""
    hold_to(head.chain == expected, f"the chain is {head.chain!r}, not {expected!r}")
    hold_to(head.deadline_at == book.deadline, f"the deadline is {head.deadline_at}, not {book.deadline}")
    hold_to(not waits or head.void_at > 0, "P8: nobody looks after the leases that the chain waits for")


def outbox(book: Book, record: Record) -> None:
    """P2: visible is every event of what was committed, until it is marked, and no other event."""
    seen = {
        row.id
        for row in record.outbox.values()
        if row.kind == "event" and not record.events[row.id].name.startswith("pavane.")
    }
    hold_to(seen == book.unmarked, f"P2: in the outbox {sorted(seen)}, not {sorted(book.unmarked)}")
    hold_to(record.timers.keys() == book.timers.keys(), f"P7: timers {sorted(record.timers)}")
    for worker, join in record.joins.items():
        hold_to(join.fired == (worker in book.fired), f"the join of {worker} has fired: {join.fired}")
        hold_to(dict(join.arrived) == book.arrived.get(worker), f"at {worker} have arrived {join.arrived}")
        hold_to(not join.fired or record.events[join.event].name == JOINED, "a join without its event")


def held(book: Book, record: Record) -> None:
    """P4: a held job stays until it goes to the outbox, the first to come first."""
    gone = [id_ for id_ in book.held if id_ not in record.held]
    hold_to(book.held[: len(gone)] == gone, f"P4: out of order {gone} of {book.held}")
    released = {held_id(row.kind, row.generation, row.step) for row in record.outbox.values()}
    for id_ in gone:
        hold_to(id_ in released, f"P4: the held job {id_} is gone")
        hold_to(not book.paused, f"P8: {id_} is released although the run is paused")
    book.held = book.held[len(gone) :]
    hold_to(len(record.held) == len(book.held), f"P4: held {sorted(record.held)}, not {book.held}")
    hold_to(not book.held or book.paused or record.head.release_at, "P8: held jobs that nobody releases")


def held_id(kind: str, generation: int, step: str) -> str:
    """The name in the book of a held job, from what became of it in the outbox."""
    return f"{'undo' if kind == 'undo' else 'step'}/{generation}/{step}"


def listed(book: Book, record: Record) -> None:
    """P8: over, paused, stalled for each reason there is, or looked at again: never stuck in silence."""
    head = record.head
    letters = {
        (letter.step, "undo" if letter.kind == "undo" else "step") for letter in record.letters.values()
    }
    hold_to(letters == book.letters.keys(), f"P4: letters {sorted(letters)}")
    hold_to((head.paused_at > 0) == book.paused, f"paused since {head.paused_at}")
    reasons = {reason for reason in head.stalled if reason != "idle"}
    pending = book.unmarked or any(row.kind != "event" for row in record.outbox.values())
    waits = waits_at_join(book) and not at_work(record)
    rests = not (book.paused or book.held or book.timers or pending or waits)
    idle = "idle" in head.stalled
    hold_to(rests or book.idle or not idle, "P8: a run that waits for something is called idle")
    book.idle = idle
    retrying = sum(row.state == "retrying" for row in record.steps.values())
    hold_to(head.retrying == retrying, f"the head counts {head.retrying} retries, not {retrying}")
    hold_to(reasons == book.stalled, f"P8: stalled for {sorted(reasons)}, not {sorted(book.stalled)}")
    if book.phase in OVER:
        hold_to(agenda.status_of(record) == book.phase, "P8: the status of a run that is over is its phase")
        return
    looked_at = head.idle_at > 0 or "idle" in head.stalled
    hold_to(looked_at, "P8: the run is not over, and nobody will notice if it does not go on")
    hold_to(agenda.due_at(record) > 0 or "idle" in head.stalled, "P8: the run is not in the due set")
    if book.paused:
        hold_to(agenda.status_of(record) == "paused", "P8: a paused run does not show it")
    elif head.stalled:
        hold_to(agenda.status_of(record) == "stalled", "P8: a stalled run does not show it")
    else:
        shown = agenda.status_of(record)
        at_rest = not book.leases and not record.outbox and not record.held and head.retrying == 0
        waits = at_rest and (bool(book.timers) or waits_at_join(book))
        hold_to(shown == ("waiting" if waits else book.phase), f"P8: the status is {shown}")


def at_work(record: Record) -> bool:
    """A holder was never heard of again, or a retry is ahead: then the run is not shown as one that waits."""
    works = (work for row in record.steps.values() for work in (row.work, row.undo) if work is not None)
    return any(row.state == "retrying" for row in record.steps.values()) or any(w.token for w in works)


def waits_at_join(book: Book) -> bool:
    """Something has arrived at a join of a running run, and something has not."""
    return book.phase == "running" and any(worker not in book.fired for worker in book.arrived)


def undo(book: Book, record: Record) -> None:
    """P5: in a failing run exactly what is due has been woken, what is not due has not."""
    if book.phase != "compensating" or book.chain is None:
        return
    hold_to(
        record.undo == [s for s in book.chain if not book.jobs[s].undone], f"P5: the chain is {record.undo}"
    )
    due = book.due()
    for step in book.chain:
        row = record.steps[step]
        if book.jobs[step].undone:
            hold_to(row.state == "undone", f"P5: {step} is undone and shown as {row.state}")
        elif step in due:
            hold_to(row.state in ("undoing", "undo_stuck"), f"P8: the undo of {step} is due and not woken")
        else:
            hold_to(row.undo is None, f"P5: the undo of {step} is woken before those it waits for")
