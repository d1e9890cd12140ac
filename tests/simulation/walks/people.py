"""What people do in a walk: they cancel, give up, pause, skip, move deadlines, redrive, discard, and emit."""

from __future__ import annotations

from dataclasses import replace

from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core import identity, letters, pausing, run, skipping, steering
from tests.simulation.walks.book import hold_to
from tests.simulation.walks.floor import RUN, WORKERS, event
from tests.simulation.walks.walk import Walk, told


def cancel(walk: Walk) -> None:
    undo = walk.draw(3) > 0
    call = c.Cancel(
        record=RUN, subscribed=walk.subscribed, request=f"r{walk.number()}", undo=undo, by="op", reason="why"
    )
    answer = walk.ask(steering.cancel, call)
    book = walk.book
    if book.phase == "running":
        book.fail_run("cancelled")
        book.cancelling, book.leave, book.paused = True, not undo, False
        hold_to(isinstance(answer, a.Done), f"cancel is answered {told(answer)}")
    else:
        same = book.cancelling and book.leave != undo
        hold_to(isinstance(answer, a.Done) == same, f"cancel is answered {told(answer)}")
        hold_to(same or walk.live.history[-1].reason == "why", "a cancel that came too late leaves no line")
    after_action(walk, answer)


def compensate(walk: Walk) -> None:
    call = c.Compensate(
        record=RUN, subscribed=walk.subscribed, request=f"r{walk.number()}", by="op", reason="why"
    )
    answer = walk.ask(steering.compensate, call)
    book = walk.book
    if book.phase == "running":
        book.fail_run("operator")
        book.paused = False
        hold_to(isinstance(answer, a.Done), f"compensate is answered {told(answer)}")
    else:
        hold_to(isinstance(answer, a.Done) == (book.reason == "operator"), told(answer))
    after_action(walk, answer)


def pause(walk: Walk) -> None:
    answer = walk.ask(pausing.pause, c.Pause(record=RUN, by="op", reason="why"))
    live = walk.book.phase in ("running", "compensating")
    hold_to(isinstance(answer, a.Done) == live, f"pause is answered {told(answer)}")
    walk.book.paused = live


def resume(walk: Walk) -> None:
    walk.resume()


def skip(walk: Walk) -> None:
    steps = [*walk.live.steps, "w.seat:nothing"]
    step_id = steps[walk.draw(len(steps))]
    worker = WORKERS[step_id.partition(":")[0]]
    names = [outcome[0] for outcome in worker.outcomes if outcome] or ["leg"]
    name = names[walk.draw(len(names))]
    id_ = identity.skipped_id(RUN, step_id, name, b"{}")
    row = walk.live.steps.get(step_id)
    began = row is not None and row.work.token > 0 and row.work.lease_until > walk.now
    before = walk.book.jobs.get(step_id)
    known = before is not None and before.place > 0
    chosen = replace(
        event(id_, name), producer=step_id.partition(":")[0], causation=step_id.partition(":")[2]
    )
    call = c.Skip(record=RUN, subscribed=walk.subscribed, step=step_id, event=chosen, by="op")
    answer = walk.ask(skipping.skip, call)
    if isinstance(answer, a.Done) and not known:
        hold_to(not began, f"{step_id} is skipped while its lease lives")
        walk.book.skipped(call)
    after_action(walk, answer)


def move_deadline(walk: Walk) -> None:
    at = walk.now + (-1_000, 20_000, 300_000)[walk.draw(3)]
    answer = walk.ask(steering.move_deadline, c.MoveDeadline(record=RUN, at=at, by="op"))
    moved = walk.book.phase == "running" and (at > walk.now or at == walk.book.deadline)
    hold_to(isinstance(answer, a.Done) == moved, f"move_deadline is answered {told(answer)}")
    if moved:
        walk.book.deadline = at


def after_action(walk: Walk, answer: a.ActionAnswer) -> None:
    walk.audit()
    if isinstance(answer, a.Done):
        walk.publish(answer.rows)


def redrive(walk: Walk) -> None:
    if not walk.dead:
        return
    letter = walk.dead.pop(walk.draw(len(walk.dead)))
    message = letter.message
    key = message.step, message.kind
    answered = walk.book.letters.get(key, False)
    call = c.Redrive(
        record=RUN,
        letter=letter.letter,
        step=message.step,
        kind=message.kind,
        generation=message.generation,
        pass_id=f"pass {walk.number()}",
        force=answered and walk.draw(2) == 0,
    )
    answer = walk.ask(letters.redrive, call)
    match answer.outcome:
        case "publish" | "again":
            walk.book.letter_gone(*key)
            if walk.chance(8):
                walk.dead.append(letter)
                return
            walk.bag.append(message._replace(generation=answer.generation))
            walk.mark_copy(message, answer.generation)
        case "refused":
            if not walk.careful:  # else it is left where it is, and not tried for ever
                walk.dead.append(letter)
        case "gone":
            pass


def discard(walk: Walk) -> None:
    if not walk.dead:
        return
    letter = walk.dead[walk.draw(len(walk.dead))]
    message, book = letter.message, walk.book
    then = ("", "leave", "compensate")[walk.draw(3)]
    call = c.Discard(
        record=RUN,
        subscribed=walk.subscribed,
        letter=letter.letter,
        step=message.step,
        kind=message.kind,
        generation=message.generation,
        then=then,  # type: ignore[arg-type]
        by="op",
    )
    key = message.step, message.kind
    answered = book.letters.get(key, False)
    job = book.jobs.get(message.step)
    answer = walk.ask(letters.discard, call)
    if answer.outcome != "refused":
        walk.dead.remove(letter)
    if answer.outcome == "done":
        book.letter_gone(*key)
        waits = book.phase in ("running", "compensating") and not answered and not (job and job.closing)
        if waits and then == "leave":
            book.stalled.add(f"discarded:{message.step}")
        elif waits:
            book.fail_run("step_dead")
            book.paused = False
        walk.audit()
        walk.publish(answer.rows)


def emit(walk: Walk) -> None:
    """An event from outside: an ordinary one, or one that ends the run."""
    name = ("leg", "flight", "hotel", "told", "worse", "good")[walk.draw(6)]
    outside = event(f"outside {walk.number()}", name)
    answer = walk.ask(run.emit, c.Emit(record=RUN, subscribed=walk.subscribed, event=outside))
    hold_to(isinstance(answer, a.Emitted) == (walk.book.phase == "running"), told(answer))
    if isinstance(answer, a.Emitted):
        walk.book.emit(outside)
        walk.book.end_by(outside)
        walk.audit()
        walk.publish(answer.rows)
