"""What must hold: in every state, on every move, and where nothing moves any more.

Nothing here asks `pavane.core` what is right. Counters are counted again, the undo order is written down a
second time, and whether a message may be gone is judged by where its copies are.
"""

from __future__ import annotations

from collections.abc import Iterator

from pavane.core.record import JobKind, Record, StepRow, Work
from tests.model.ledger import Broken, Job, Ledger
from tests.model.likeness import NOW
from tests.model.moves import Message
from tests.model.system import View

KINDS: tuple[JobKind, ...] = ("step", "undo")
ENDED = ("completed", "failed", "compensated", "cancelled")


class Promises:
    """Checks states and moves, each record once."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.jobs = ledger.jobs
        self._counted: set[int] = set()
        self._moved: set[tuple[int, int]] = set()

    # every state

    def hold(self, view: View) -> None:
        record = self.ledger.records[view.record]
        if view.record not in self._counted:
            counters_are_right(record)
            self._counted.add(view.record)
        self.wire_is_committed(view, record)
        for number, job in enumerate(self.jobs):
            row = record.steps.get(job.step)
            if job.event == "start" or job.event in view.seen:
                self.step_is_safe(view, number, row)
            if row is not None:
                self.undo_is_safe(view, record, number, row)
        self.letters_are_listed(view, record)
        self.undo_is_exact(view, record)

    def wire_is_committed(self, view: View, record: Record) -> None:
        """P2: no event of an uncommitted or late step is ever visible."""
        told = {id_ for row in record.steps.values() if row.committed and not row.late for id_ in row.emitted}
        if ghosts := view.seen - told:
            raise Broken(f"P2: {', '.join(sorted(ghosts))} is visible, but its step is not committed")

    def step_is_safe(self, view: View, number: int, row: StepRow | None) -> None:
        """P4: a message is gone only if its job is settled and everything it caused is published."""
        name = self.jobs[number].worker
        if row is not None and row.state not in ("running", "retrying"):
            if row.skipped:
                return  # nobody's message: its event waits in the outbox for the caller or the relay
            if row.committed and not row.late and not self.carried(view, number, "step", row.work):
                missing = set(row.emitted) - view.seen
                if missing:
                    raise Broken(
                        f"P4: the message of {name} is gone, {', '.join(sorted(missing))} unpublished"
                    )
            return
        if not self.carried(view, number, "step", row.work if row else None):
            raise Broken(f"P4: the job of {name} is lost: no message can bring it on")

    def undo_is_safe(self, view: View, record: Record, number: int, row: StepRow) -> None:
        if row.undo is None or row.undo.done or row.state == "undo_stuck":
            return
        waiting = f"undo/{row.step}" in record.outbox
        if not waiting and not self.carried(view, number, "undo", row.undo):
            raise Broken(f"P4: the undo of {self.jobs[number].worker} is lost: no message can bring it on")

    def carried(self, view: View, number: int, kind: JobKind, work: Work | None) -> bool:
        """Whether the broker has, or would have back, a delivery that brings the job on.

        One of an older generation does if the newer copy is unmarked, for then it publishes that copy.
        A letter does if its redrive is recorded and the copy of that is unmarked.
        """
        for message in (*self.deliveries(view), *self.kept(view)):
            if (message.job, message.kind) != (number, kind):
                continue
            behind = max(0, work.generation - message.generation) if work is not None else 0
            unmarked = work is not None and work.unpublished == "retry"
            if message.place == "letters":
                if behind == 1 and unmarked:
                    return True
            elif behind == 0 or unmarked or (work is not None and work.done):
                return True
        return False

    def deliveries(self, view: View) -> Iterator[Message]:
        yield from view.messages
        yield from view.held

    def kept(self, view: View) -> Iterator[Message]:
        """Deliveries that the record itself keeps: held ones, and released ones that wait in the outbox."""
        record = self.ledger.records[view.record]
        numbers = {job.step: number for number, job in enumerate(self.jobs)}
        for held in record.held.values():
            yield Message("queue", numbers[held.step], held.kind, held.generation)
        for row in record.outbox.values():
            if row.kind != "event":
                kind: JobKind = "undo" if row.kind == "undo" else "step"
                yield Message("queue", numbers[row.step], kind, row.generation)

    def letters_are_listed(self, view: View, record: Record) -> None:
        """I13: letters and their index are one to one, but for one on its way in or out."""
        present = [message for message in self.deliveries(view) if message.place == "letters"]
        for number, kind, work in self.works(record):
            listed = f"{kind}/{self.jobs[number].step}" in record.letters
            mine = [message for message in present if (message.job, message.kind) == (number, kind)]
            for message in mine:
                if message.generation > work.generation or (
                    message.generation == work.generation and not listed
                ):
                    raise Broken(f"I13: a letter of {self.jobs[number].worker} is in no index")
            lies = any(message.generation == work.generation for message in mine)
            coming = work.unpublished == "letter" and any(
                (message.job, message.kind) == (number, kind) and message.place != "letters"
                for message in (*self.deliveries(view), *self.kept(view))
            )
            if listed and not lies and not coming:
                raise Broken(f"I13: the letter of {self.jobs[number].worker} is listed, but lies nowhere")

    def works(self, record: Record) -> Iterator[tuple[int, JobKind, Work]]:
        for number, job in enumerate(self.jobs):
            row = record.steps.get(job.step)
            for kind in KINDS:
                work = row.of(kind) if row else None
                if work is not None:
                    yield number, kind, work

    def undo_is_exact(self, view: View, record: Record) -> None:
        """P5: undone is exactly what was done, once, latest first, and not before the last lease ended."""
        head = record.head
        done = [self.jobs[number].step for number in view.undone]
        if len(set(done)) != len(done):
            raise Broken(f"P5: undone twice: {done}")
        early = head.phase in ("running", "completed", "failed") or head.chain == "waiting" or head.leave
        if early and (done or record.undo):
            raise Broken(f"P5: {done + record.undo} undone in a run that is {head.phase}")
        over = head.phase in ("failed", "compensated", "cancelled") and not head.leave
        if over or head.chain == "running":
            expected = undo_order(self.jobs, record)
            if done + record.undo != expected:
                raise Broken(f"P5: undo {done} and then {record.undo}, but {expected} was to be undone")

    # every move

    def moved(self, before: int, after: int) -> None:
        """Between two records."""
        pair = before, after
        if pair in self._moved or before == after:
            return
        self._moved.add(pair)
        old, new = self.ledger.records[before], self.ledger.records[after]
        phase_never_goes_back(old, new)
        for step, row in new.steps.items():
            was = old.steps.get(step)
            only_the_holder_commits(was, row)
            nobody_takes_a_live_lease(was, row)
            nothing_new_begins_in_a_failing_run(old, was, row)

    # the end

    def settled(self, view: View) -> str:
        """Why this is not an end that anybody could accept, or an empty string."""
        record = self.ledger.records[view.record]
        if view.busy:
            return "a process is busy"
        if any(message.place != "letters" for message in view.messages):
            return "a message is under way"
        if record.head.paused_at or record.held:
            return "P8: the run is paused, or holds jobs"
        if record.outbox:
            return f"P2: {', '.join(sorted(record.outbox))} was never published"
        if record.head.phase not in ENDED and not record.head.stalled:
            return f"P8: the run is {record.head.phase} for ever, and not stalled"
        lying = {(message.kind, message.job, message.generation) for message in view.messages}
        listed = {
            (kind, number, work.generation)
            for number, kind, work in self.works(record)
            if f"{kind}/{self.jobs[number].step}" in record.letters
        }
        if lying != listed:
            return f"I13: {lying} lie in the dead-letter queue, {listed} are listed"
        return self.unsettled_step(view, record)

    def unsettled_step(self, view: View, record: Record) -> str:
        for job in self.jobs:
            row = record.steps.get(job.step)
            if job.event != "start" and job.event not in view.seen:
                continue
            if row is None or row.state in ("running", "retrying", "undoing"):
                stuck = record.head.chain == "running" and record.head.stalled
                if row is None or not stuck:
                    return f"P4: {job.worker} never ended"
            elif row.state == "refused" and job.event == record.head.end_event:
                return f"{job.worker} was refused, but closes the run"
            elif row.committed and not row.late and set(row.emitted) - view.seen:
                return f"P2: an event of {job.worker} was never published"
        return ""


def counters_are_right(record: Record) -> None:
    head, rows = record.head, record.steps.values()
    if head.commits != sum(row.committed for row in rows):
        raise Broken(f"P1: {head.commits} commits of {sum(row.committed for row in rows)} steps")
    waited = sum(bool(row.work.token) and not row.closing for row in rows)
    others = sum(bool(row.work.token) and row.closing for row in rows)
    others += sum(bool(row.undo and row.undo.token) for row in rows)
    if (head.leases, head.other_leases) != (waited, others):
        raise Broken(f"the head counts {head.leases} + {head.other_leases} leases, not {waited} + {others}")
    if head.retrying != sum(row.state == "retrying" for row in rows):
        raise Broken(f"the head counts {head.retrying} retries")
    if head.chain == "waiting" and not head.leases:
        raise Broken("P5: the undo waits although no lease is held")
    if head.letters != len(record.letters):
        raise Broken(f"the head counts {head.letters} letters, not {len(record.letters)}")


def undo_order(jobs: tuple[Job, ...], record: Record) -> list[str]:
    """DESIGN's P5, a second time: unknown outcomes first, latest begun first; then latest commit first."""
    unknown: list[tuple[int, str]] = []
    known: list[tuple[int, str]] = []
    for job in jobs:
        row = record.steps.get(job.step)
        if row is None or job.undo is None or row.closing or not row.first_token:
            continue
        if not row.committed:
            unknown += [(row.first_token, job.step)] if job.undo.uncertain else []
        elif row.skipped:
            known += [(row.order, job.step)] if job.undo.uncertain else []
        elif not set(job.emits) & {"order.rejected"}:
            takes = job.undo.admits is None or job.emits[0] in job.undo.admits
            known += [(row.order, job.step)] if takes else []
    return [step for _, step in sorted(unknown, reverse=True)] + [
        step for _, step in sorted(known, reverse=True)
    ]


def phase_never_goes_back(old: Record, new: Record) -> None:
    was, now = old.head.phase, new.head.phase
    if was in ENDED and now != was:
        raise Broken(f"the run was {was} and is {now}")
    if was == "compensating" and now in ("running", "completed"):
        raise Broken(f"the run was {was} and is {now}")


def only_the_holder_commits(was: StepRow | None, row: StepRow) -> None:
    """P6: the token that ended the lease is the one that held it."""
    committed = row.committed and (was is None or was.order != row.order)
    held = was.work.token if was else 0
    if committed and not row.skipped and held != row.work.ended_token:
        raise Broken(f"P6: token {row.work.ended_token} committed, {held or 'nobody'} held the lease")


def nobody_takes_a_live_lease(was: StepRow | None, row: StepRow) -> None:
    """A lease that still runs ends by its holder's word alone."""
    for old, new in ((was.work, row.work), (was.undo, row.undo)) if was else ():
        taken = old and new and old.token and old.token not in (new.token, new.ended_token)
        if old and taken and old.lease_until > NOW:
            raise Broken(f"P6: the lease of {row.step} is taken from token {old.token} while it runs")


def nothing_new_begins_in_a_failing_run(old: Record, was: StepRow | None, row: StepRow) -> None:
    head = old.head
    granted = row.work.token and (was is None or was.work.token != row.work.token)
    if head.paused_at and granted:
        raise Broken(f"P8: {row.step} begins although the run is paused")
    if granted and not row.closing and head.phase not in ("running", "completed"):
        raise Broken(f"I9: {row.step} begins although the run is {head.phase}")
    undoing = row.undo and row.undo.token and (was is None or was.undo is None or not was.undo.token)
    if undoing and (head.phase != "compensating" or head.leases > 0):
        raise Broken(
            f"P5: the undo of {row.step} begins in a run that is {head.phase}, {head.leases} leases held"
        )
