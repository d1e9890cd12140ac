"""Random calls of people to a run, deliveries to a join, and what the processes hold of a paused run."""

from __future__ import annotations

from typing import Any

from pavane.core.calls import Cancel, Compensate, Hold, JoinSpec, MoveDeadline, Pause, Resume, Skip
from pavane.core.identity import joined_id, skipped_id, step_id
from pavane.core.kept import JOINED
from pavane.core.record import EventRow, Record, StepRow
from tests.conformance.random_material import HOUR, RUNS, TEXTS, UNDO, RandomMaterial

JOINING = "j.all"
"""The worker of `UNDO` that has `on_all`."""


class RandomSteering(RandomMaterial):
    """Makes them of the records as they are."""

    def steered(self) -> str:
        """Mostly a run; the others are none."""
        return self.random.choice(RUNS) if self.chance(0.97) else self.random.choice(("flow:none", "~other"))

    def asked_for(self) -> dict[str, Any]:
        return {"by": self.random.choice(("", "operator-1")), "reason": self.random.choice(TEXTS)}

    def request(self, record: str) -> str:
        """A new request, or the last one that came too late."""
        known = self._records().get(record)
        return known.head.asked if known and known.head.asked and self.chance(0.3) else self.made("request")

    def given_up(self) -> str:
        """A run to end; often one that is over, so that both ways to cancel are asked for."""
        over = [key for key, known in self._records().items() if known.head.phase != "running"]
        return self.random.choice(over) if over and self.chance(0.5) else self.steered()

    def cancel(self) -> Cancel:
        """Of a run that is being cancelled often the other way."""
        record, undo = self.given_up(), self.chance(0.7)
        known = self._records().get(record)
        if known and known.head.cancelling and self.chance(0.7):
            undo = known.head.leave
        return Cancel(record=record, request=self.request(record), undo=undo, **self.asked_for())

    def compensate(self) -> Compensate:
        record = self.given_up()
        return Compensate(record=record, request=self.request(record), **self.asked_for())

    def fail_joined(self) -> Compensate | None:
        """A run that has gathered and gone on: by itself, few of these fail."""
        done = [
            known.head.key
            for known, row in self.rows()
            if row.worker == JOINING and row.known and known.head.phase == "running" and row.first_token
        ]
        return Compensate(record=done[0], request=self.made("request")) if done else None

    def pause(self) -> Pause:
        return Pause(record=self.steered(), **self.asked_for())

    def resume(self) -> Resume:
        paused = [key for key, known in self._records().items() if known.head.paused_at]
        record = self.random.choice(paused) if paused and self.chance(0.8) else self.steered()
        return Resume(record=record, by=self.random.choice(("", "operator-1")))

    def move_deadline(self) -> MoveDeadline:
        record = self.steered()
        known = self._records().get(record)
        now = known.head.updated_at if known else 0
        at = now + self.random.choice((-5, 0, 4_000, HOUR))
        if known and known.head.deadline_at and self.chance(0.2):
            at = known.head.deadline_at
        return MoveDeadline(record=record, at=at, **self.asked_for())

    def hold(self) -> Hold | None:
        """A delivery of a paused run; sometimes of one that is not, or of what is no run."""
        paused = [known for known in self._records().values() if known.head.paused_at]
        if not paused and self.chance(0.9):
            return None
        known = self.pick(paused) if paused and self.chance(0.9) else None
        record = known.head.key if known else self.steered()
        known = self._records().get(record)
        undos = [row for row in known.steps.values() if row.undo] if known else []
        if undos and self.chance(0.5):
            return self.held_undo(record, self.random.choice(undos))
        event = self.delivered(record, known)
        worker = self.random.choice(tuple(UNDO))
        step = step_id(worker, event.id)
        row = known.steps.get(step) if known else None
        return Hold(
            record=record,
            step=step,
            worker=worker,
            event=event,
            generation=self.generation(row.work if row else None),
        )

    def held_undo(self, record: str, row: StepRow) -> Hold:
        step = row.step if self.chance(0.95) else "a.w0:none"
        return Hold(
            record=record, step=step, worker=row.worker, kind="undo", generation=self.generation(row.undo)
        )

    def skip(self) -> Skip | None:
        found = [(known, row) for known, row in self.rows() if known.head.is_run]
        able = [item for item in found if item[1].state in ("dead", "retrying", "running")]
        chosen = self.pick(able if able and self.chance(0.7) else found)
        if chosen is None:
            return Skip(record=self.steered(), step="a.w0:none", event=self.event("skip"))
        known, row = chosen
        return Skip(
            record=known.head.key if self.chance(0.97) else self.steered(),
            step=row.step if self.chance(0.95) else "a.w0:none",
            event=self.instead(known, row),
            **self.asked_for(),
        )

    def instead(self, known: Record, row: StepRow) -> EventRow:
        """The event that is committed for a step; of a skipped one often the same again."""
        if row.skipped and row.result and self.chance(0.7):
            return known.events[row.result]
        event = self.event("")
        name = "mid" if event.name == "bad" and self.chance(0.5) else event.name
        id_ = skipped_id(known.head.key, row.step, name, event.payload)
        return self.event(id_, name, event.payload)

    def join_of(self, record: str, delivered: EventRow) -> JoinSpec:
        """What every delivery to `JOINING` says; now and then by another version of its service."""
        own = delivered if delivered.name == JOINED else self.joined(record)
        names = self.random.choice(
            (*(("mid", "other"),) * 12, ("other", "mid"), ("mid",), ("other", "go"), ())
        )
        return JoinSpec(event=own, names=names)

    def joined(self, record: str) -> EventRow:
        return self.event(joined_id(record, JOINING), JOINED, b"{}")
