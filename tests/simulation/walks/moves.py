"""The moves of a walk: what workers, the broker, operators, the relay and time may do next."""

from __future__ import annotations

from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core import compensation, letters, step
from tests.simulation.walks.book import hold_to
from tests.simulation.walks.floor import LEASE, RUN, TAKERS, WORKERS, Message, event, join_spec, verdict
from tests.simulation.walks.people import (
    cancel,
    compensate,
    discard,
    emit,
    move_deadline,
    pause,
    redrive,
    resume,
    skip,
)
from tests.simulation.walks.walk import Hand, Walk

# the broker and the workers


def deliver(walk: Walk) -> None:
    if not walk.bag:
        return walk.tick()
    place = walk.draw(len(walk.bag))
    message = walk.bag[place]
    walk.bag[place] = walk.bag[-1]
    walk.bag.pop()
    walk.deliver(message)


def duplicate(walk: Walk) -> None:
    """A message comes twice; a delivery of an unacknowledged job comes while its holder lives."""
    if walk.bag:
        walk.bag.append(walk.bag[walk.draw(len(walk.bag))])


def hand(walk: Walk) -> Hand | None:
    if not walk.hands:
        return None
    place = walk.draw(len(walk.hands))
    walk.hands[place], walk.hands[-1] = walk.hands[-1], walk.hands[place]
    return walk.hands[-1]


def returned(walk: Walk, held: Hand) -> None:
    """A holder that was fenced lets go: its delivery begins again, and may say that nobody died."""
    walk.hands.remove(held)
    key = held.message.step, held.message.kind
    hold_to(not walk.book.holds(*key, held.token), f"P6: {held.token} is fenced, but the holder's")
    if not held.alone:
        walk.bag.append(held.message)
    if walk.draw(2):
        walk.fenced[key] = (*walk.fenced.get(key, ()), held.token)


def commit(walk: Walk) -> None:
    held = hand(walk)
    if held is None:
        return deliver(walk)
    message = held.message
    if message.kind == "undo":
        return commit_undo(walk, held)
    worker = WORKERS[message.worker]
    names = worker.outcomes[0 if walk.careful else walk.draw(len(worker.outcomes))]
    events = tuple(event(f"{message.step}/{name}", name, cause=message) for name in names)
    timers: tuple[c.TimerSet, ...] = ()
    if worker.timer:
        rings = event(f"{message.step}/{worker.timer}", worker.timer, cause=message)
        timers = (c.TimerSet(key="ring", at=(1_000, 40_000)[walk.draw(2)], event=rings),)
    call = c.Commit(
        record=RUN,
        subscribed=walk.subscribed,
        step=message.step,
        token=held.token,
        result=events[0].id if events else "",
        events=events,
        timers=timers,
        relative=("ring",) if timers else (),
    )
    answer = walk.ask(step.commit, call)
    if isinstance(answer, a.Fenced):
        return returned(walk, held)
    walk.book.committed(call, late=isinstance(answer, a.Late), now=walk.now)
    walk.hands.remove(held)
    settled(walk, held, answer.rows)


def commit_undo(walk: Walk, held: Hand) -> None:
    call = c.CommitUndo(record=RUN, subscribed=walk.subscribed, step=held.message.step, token=held.token)
    answer = walk.ask(compensation.commit_undo, call)
    if isinstance(answer, a.Fenced):
        return returned(walk, held)
    hold_to(walk.book.holds(call.step, "undo", call.token), f"P6: {call.token} commits an undo")
    walk.book.undone(call.step)
    walk.hands.remove(held)
    settled(walk, held, answer.rows)


def settled(walk: Walk, held: Hand, rows: tuple[a.Publication, ...]) -> None:
    """Publish; or die before the acknowledgement, and the delivery comes once more."""
    walk.audit()
    walk.publish(rows)
    if walk.chance(12) and not held.alone:
        walk.bag.append(held.message)


def fail(walk: Walk) -> None:
    held = hand(walk)
    if held is None:
        return deliver(walk)
    message = held.message
    outcome = "rejected" if walk.draw(4) == 0 else "failed"
    known = {
        "record": RUN,
        "subscribed": walk.subscribed,
        "step": message.step,
        "kind": message.kind,
        "token": held.token,
        "outcome": outcome,
        "error": "boom",
        "error_type": "Boom",
        "delay": (250, 5_000)[walk.draw(2)],
        "max_attempts": 2,
        "step_timeout": 200_000 if message.worker == "w.seat" else 0,
    }
    answer = walk.ask(step.fail, c.Fail(**known))  # type: ignore[arg-type]
    ruling = None
    if isinstance(answer, a.Exhausted):
        ruling = verdict(message, walk.terms[message.worker], answer.reason)
        answer = walk.ask(step.fail, c.Fail(verdict=ruling, **known))  # type: ignore[arg-type]
    if isinstance(answer, a.Fenced):
        return returned(walk, held)
    hold_to(walk.book.holds(message.step, message.kind, held.token), f"P6: {held.token} fails")
    walk.hands.remove(held)
    walk.book.let_go(message.step, message.kind)
    if isinstance(answer, a.Dead) and ruling is not None:
        walk.book.died(message, ruling)
    walk.audit()
    match answer:
        case a.Retrying():
            walk.send_copy(message, answer.generation)
        case a.Dead():
            walk.bury(message, answer)
        case a.Recorded(rows=rows):
            walk.publish(rows)
        case a.Exhausted():
            hold_to(False, "a verdict is asked for twice")


def release(walk: Walk) -> None:
    held = hand(walk)
    if held is None:
        return deliver(walk)
    message = held.message
    call = c.Release(
        record=RUN,
        subscribed=walk.subscribed,
        step=message.step,
        kind=message.kind,
        token=held.token,
        after=(0, 2_000)[walk.draw(2)],
    )
    answer = walk.ask(step.release, call)
    if isinstance(answer, a.Fenced):
        return returned(walk, held)
    walk.hands.remove(held)
    walk.book.let_go(message.step, message.kind)
    walk.audit()
    if isinstance(answer, a.Recorded):
        walk.publish(answer.rows)
    else:
        walk.bag.append(message)


def renew(walk: Walk) -> None:
    held = hand(walk)
    if held is None:
        return deliver(walk)
    message = held.message
    call = c.Renew(record=RUN, step=message.step, kind=message.kind, token=held.token, lease=LEASE)
    answer = walk.ask(step.renew, call)
    if isinstance(answer, a.Fenced):
        return returned(walk, held)
    walk.book.leases[message.step, message.kind].until = answer.lease_until
    late = message.kind == "step" and walk.book.late(message.step)
    hold_to(answer.stopping == late, f"{message.step} is told stopping={answer.stopping}")


def crash(walk: Walk) -> None:
    """The holder dies, or only loses its channel and goes on with what is no longer its delivery."""
    held = hand(walk)
    if held is None or held.alone:
        return deliver(walk)
    if walk.draw(4) == 0:
        held.alone = True
        walk.bag.append(held.message)
        return
    walk.hands.remove(held)
    if walk.draw(2):
        walk.bag.append(held.message)
        return
    walk.now += LEASE + 1
    walk.deliver(held.message)


def reject(walk: Walk) -> None:
    """The broker has given a message up, or nobody can read it."""
    if not walk.bag:
        return deliver(walk)
    message = walk.bag.pop(walk.draw(len(walk.bag)))
    ruling = verdict(message, walk.terms[message.worker], "delivery_limit")
    call = c.Reject(
        record=RUN,
        subscribed=walk.subscribed,
        step=message.step,
        worker=message.worker,
        kind=message.kind,
        generation=message.generation,
        event=message.event,
        delivery_limit=walk.draw(2) == 0,
        verdict=ruling,
    )
    before = walk.letters()
    answer = walk.ask(letters.reject, call)
    match answer:
        case a.Dead():
            if before != walk.letters():
                walk.book.died(message, ruling)
            walk.audit()
            walk.bury(message, answer)
        case a.PutBack():
            walk.bag.append(message)
        case a.Stale():
            if answer.publish:
                walk.send_copy(message, answer.generation)
        case a.Committed(rows=rows):
            walk.publish(rows)
        case a.UnknownRun():
            hold_to(False, "the run is unknown")


def start(walk: Walk) -> None:
    """The run is started again, as it was, with another payload, or by an event from elsewhere."""
    match walk.draw(3):
        case 0:
            walk.start("start 2", "d")
        case 1:
            walk.start("start 2", "other")
        case _:
            walk.bag += [
                walk.bag[0]._replace(
                    kind="step",
                    worker=worker.name,
                    step=f"{worker.name}:other",
                    event=event("other", "start"),
                    generation=0,
                )
                for worker in TAKERS["start"][:1]
                if walk.bag
            ]


def mark(walk: Walk) -> None:
    """A mark comes late: much may have happened to its rows by now."""
    if not walk.marks:
        return deliver(walk)
    walk.mark(walk.marks.pop(walk.draw(len(walk.marks))))


def forge(walk: Walk) -> None:
    """Somebody delivers a join's own event, whose id can be computed, before the join is complete."""
    worker = WORKERS["w.both"]
    own = join_spec(worker, event("x", "flight")).event
    walk.bag.append(Message("step", worker.name, f"{worker.name}:{own.id}", own, 0))


# time and the relay


def wait(walk: Walk) -> None:
    walk.now += (1, 1_000, 6_000, LEASE + 1, 700_000)[walk.draw(5)]


def tick(walk: Walk) -> None:
    walk.tick()


MOVES = (
    *[deliver] * 18,
    *[commit] * 14,
    *[fail] * 4,
    *[wait] * 4,
    *[tick] * 4,
    *[crash] * 3,
    *[redrive] * 3,
    *[resume] * 2,
    duplicate,
    mark,
    mark,
    mark,
    release,
    renew,
    renew,
    renew,
    reject,
    pause,
    pause,
    skip,
    skip,
    discard,
    emit,
    move_deadline,
    cancel,
    compensate,
    start,
    forge,
)
"""Named as often as they shall come relative to each other."""


def step_once(walk: Walk) -> None:
    """One move, and the audit."""
    MOVES[walk.draw(len(MOVES))](walk)
    walk.audit()
