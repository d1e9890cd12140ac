"""Every crash point, for a step and for an undo: what is asked, where the process dies, what must be found then.

The process that dies runs the jobs up to the one that is hit, one after the other, and not the one that follows
from it; so the n-th time it passes a point is known. `second` is its second job, after `first`. The undo of
`second` is its third, after `second` itself and `third`, which fails the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pavane.core.record import JobKind


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table.

    Attributes:
        crash: `<point>:<n>` as `PAVANE_CRASH` takes it.
        kind: whether `second` itself is hit, or its undo.
        ask: what the run's workers do.
        state: of the row of `second` when the process has died.
        unpublished: which copy the row says is not marked.
        ran: how often the handler had run to its end in the process that died.
        waiting: messages of the job that are found in its queue and on the wheel.
        letters: messages in the dead-letter queue.
        published: whether the event that follows had reached its queue; `None`: there is none yet.
        pending: whether the outbox still holds what the job wrote.
        outcomes: of all attempts, at the end.
        failures: recorded, when the process has died.
        again: how often the handler is started after the takeover.
        paused: the run is paused before the job is delivered, and goes on after the takeover.
        redriven: how many messages of the job's one letter are then in the dead-letter queue: it must be redriven
            for the run to go on. A letter that was published and not marked is published again, under its id.
    """

    crash: str
    kind: JobKind = "step"
    ask: dict[str, str] = field(default_factory=dict)
    state: str = ""
    unpublished: str = ""
    ran: int = 1
    waiting: int = 1
    letters: int = 0
    published: bool | None = None
    pending: bool = False
    outcomes: tuple[str, ...] = ("committed",)
    failures: int = 0
    again: int = 0
    paused: bool = False
    redriven: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.crash}"

    @property
    def point(self) -> str:
        return self.crash.partition(":")[0]

    @property
    def begins(self) -> bool:
        """Whether the handler is started in the process that dies."""
        return self.point not in ("receive", "begin", "hold")


ONCE, ALWAYS = "fail:1", "fail:3"
FAILED_THRICE = ("failed", "failed", "failed", "committed")


def table(kind: JobKind) -> list[Case]:
    undo = kind == "undo"
    nth = 3 if undo else 2
    broken = {"third": "break"} if undo else {}
    put_off = broken | {"undo_second" if undo else "second": "late:0.5"}
    fails_once = broken | {"undo_second" if undo else "second": ONCE}
    fails_always = broken | {"undo_second" if undo else "second": ALWAYS}
    fresh, running, retrying, done, dead = (
        ("undoing", "undoing", "undoing", "undone", "undo_stuck")
        if undo
        else ("", "running", "retrying", "committed", "dead")
    )
    return [
        Case(crash=f"receive:{nth}", kind=kind, ask=broken, state=fresh, ran=0, again=1),
        Case(
            crash=f"begin:{nth}",
            kind=kind,
            ask=broken,
            state=running,
            ran=0,
            outcomes=("lost", "committed"),
            again=1,
        ),
        Case(
            crash=f"handler:{nth}",
            kind=kind,
            ask=broken,
            state=running,
            outcomes=("lost", "committed"),
            again=1,
        ),
        Case(crash=f"commit:{nth}", kind=kind, ask=broken, state=done, published=False, pending=True),
        Case(crash=f"publish:{nth}", kind=kind, ask=broken, state=done, published=True, pending=True),
        # By now its acknowledgement may have been sent: one message, or none.
        Case(crash=f"mark:{nth}", kind=kind, ask=broken, state=done, published=True, waiting=-1),
        Case(
            crash="fail:1",
            kind=kind,
            ask=fails_once,
            state=retrying,
            unpublished="retry",
            ran=0,
            outcomes=("failed", "committed"),
            failures=1,
            again=1,
        ),
        Case(
            crash="retry_published:1",
            kind=kind,
            ask=fails_once,
            state=retrying,
            unpublished="retry",
            ran=0,
            waiting=2,
            outcomes=("failed", "committed"),
            failures=1,
            again=1,
        ),
        Case(
            crash="fail:3",
            kind=kind,
            ask=fails_always,
            state=dead,
            unpublished="letter",
            ran=0,
            outcomes=FAILED_THRICE,
            failures=3,
            again=1,
            redriven=1,
        ),
        Case(
            crash="dead_published:1",
            kind=kind,
            ask=fails_always,
            state=dead,
            unpublished="letter",
            ran=0,
            letters=1,
            outcomes=FAILED_THRICE,
            failures=3,
            again=1,
            redriven=2,
        ),
        # Put off: its lease is given back, and the next begin is not before its time.
        Case(
            crash="snooze:1",
            kind=kind,
            ask=put_off,
            state=retrying,
            ran=0,
            outcomes=("released", "committed"),
            again=1,
        ),
        Case(
            crash="again_published:1",
            kind=kind,
            ask=put_off,
            state=retrying,
            ran=0,
            waiting=2,
            outcomes=("released", "committed"),
            again=1,
        ),
        Case(crash="hold:1", kind=kind, ask=broken, state=fresh, ran=0, again=1, paused=True),
    ]


CASES = [*table("step"), *table("undo")]
