"""What is explored: small stories that together touch every rule, each with as many faults as it can carry.

Later chapters begin where an earlier one left off (a committed step, a dead letter), made by the same calls,
so that their faults fall where that chapter is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pavane.core.answers import Dead, Granted, Retrying
from pavane.core.record import JobKind, UndoSpec
from tests.model.explore import Explored, explore
from tests.model.ledger import Job, Ledger, ids
from tests.model.moves import Bugs, Message
from tests.model.promises import Promises
from tests.model.protocol import Protocol
from tests.model.system import System

SOUND = Bugs()

CONFIRM = Job("confirm", "start", emits=("order.confirmed",))
RESERVE = Job("reserve", "start", emits=("stock.reserved",), undo=UndoSpec())
SHIP = Job("ship", "reserve/stock.reserved", emits=("parcel.sent",), undo=UndoSpec())
PAY = Job("pay", "start", emits=("order.rejected",), undo=UndoSpec())
TELL = Job("tell", "pay/order.rejected", emits=("customer.told",))


@dataclass(frozen=True)
class Before:
    """Where a scenario begins: what was recorded, what lies in the broker, what it has seen."""

    record: int
    messages: tuple[Message, ...]
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Scenario:
    """A story, and how much may go wrong in it.

    Attributes:
        copies: of the messages that it begins with.
        redrives: of dead letters, by whoever passes.
        orders: what an operator may do at any time, each counted as a fault.
        before: how it begins; by default the run has just started.
    """

    name: str
    jobs: tuple[Job, ...]
    faults: int
    copies: int = 1
    redrives: int = 0
    orders: tuple[str, ...] = ()
    before: Callable[[Ledger], Before] | None = field(default=None, compare=False)

    def explore(self, bugs: Bugs = SOUND, *, relay: bool = True) -> Explored:
        ledger = Ledger(self.jobs, unfenced=bugs.unfenced)
        system = System(ledger, Protocol(ledger, bugs), relay=relay, orders=self.orders)
        before = (self.before or just_started)(ledger)
        start = system.start(before.record, before.messages * self.copies, before.seen, self.redrives)
        return explore(system, Promises(ledger), start, self.faults)


def just_started(ledger: Ledger) -> Before:
    messages = [
        Message("queue", number, "step", 0) for number, job in enumerate(ledger.jobs) if job.event == "start"
    ]
    return Before(ledger.began(), tuple(messages))


def dead(ledger: Ledger) -> Before:
    """The only job failed twice; its letter lies in the dead-letter queue."""
    record = die(ledger, ledger.began(), 0, "step")
    return Before(record, (Message("letters", 0, "step", 2),))


def one_died(ledger: Ledger) -> Before:
    """A step failed twice, its letter lies in the dead-letter queue; the one that will fail the run has not begun."""
    record = die(ledger, ledger.began(), 0, "step")
    return Before(record, (Message("letters", 0, "step", 2), Message("queue", 1, "step", 0)))


def one_was_done(ledger: Ledger) -> Before:
    """One step is committed; the one that will fail the run is about to begin."""
    record, seen = commit(ledger, ledger.began(), 0, frozenset())
    return Before(record, (Message("queue", 1, "step", 0),), seen)


def two_were_done(ledger: Ledger) -> Before:
    """Two steps are committed; the one that will fail the run is about to begin."""
    record, seen = ledger.began(), frozenset[str]()
    for number in (0, 1):
        record, seen = commit(ledger, record, number, seen)
    return Before(record, (Message("queue", 2, "step", 0),), seen)


def one_is_unknown(ledger: Ledger) -> Before:
    """One step is committed, the holder of another died; the one that will fail the run is about to begin."""
    record, seen = commit(ledger, ledger.began(), 0, frozenset())
    record, answer = ledger.begin(record, 1, "step", 0, ended=0, with_verdict=False)
    assert isinstance(answer, Granted)
    record = ledger.expire(record, 1, "step")
    return Before(record, (Message("queue", 1, "step", 0), Message("queue", 2, "step", 0)), seen)


def undo_is_stuck(ledger: Ledger) -> Before:
    """The run failed, and the undo of its only step failed twice; its letter lies in the dead-letter queue."""
    record, seen = commit(ledger, ledger.began(), 0, frozenset())
    record, seen = commit(ledger, record, 1, seen)
    record = die(ledger, record, 0, "undo")
    return Before(record, (Message("letters", 0, "undo", 2),), seen)


def commit(ledger: Ledger, record: int, number: int, seen: frozenset[str]) -> tuple[int, frozenset[str]]:
    """Undisturbed: begin, commit, publish, mark."""
    record, answer = ledger.begin(record, number, "step", 0, ended=0, with_verdict=False)
    assert isinstance(answer, Granted)
    record, committed = ledger.commit(record, number, answer.token)
    rows = tuple(row.row for row in getattr(committed, "rows", ()))
    return ledger.mark(record, rows), seen | set(ids(ledger.jobs[number]))


def die(ledger: Ledger, record: int, number: int, kind: JobKind) -> int:
    """Undisturbed: fail twice, with the letter published and marked."""
    for generation in (0, 1):
        record, granted = ledger.begin(record, number, kind, generation, ended=0, with_verdict=False)
        assert isinstance(granted, Granted)
        last = generation == 1
        record, answer = ledger.fail(record, number, kind, granted.token, with_verdict=last)
        assert isinstance(answer, Dead if last else Retrying)
        record = ledger.mark_copy(record, number, kind, generation + 1)
        record = ledger.elapse(record, number, kind)
    return record


MAY_FAIL = ("ok", "fail")
UNSURE = replace(CONFIRM, outcomes=MAY_FAIL)
NOT_UNDONE = replace(RESERVE, undo_outcomes=MAY_FAIL)

UNDONE_IF_SKIPPED = replace(RESERVE, outcomes=MAY_FAIL)

PAUSE = Scenario("pause and resume", (UNSURE,), faults=3, orders=("pause",))
SUCCESS = Scenario("success, two copies", (CONFIRM,), faults=4, copies=2)
FAILURE = Scenario("retry and dead letter", (UNSURE,), faults=4)
SCENARIOS = (
    SUCCESS,
    FAILURE,
    Scenario("retry and dead letter, two copies", (UNSURE,), faults=3, copies=2),
    Scenario("redrive", (UNSURE,), faults=3, redrives=1, before=dead),
    Scenario("undo of two", (RESERVE, SHIP, PAY), faults=3, before=two_were_done),
    Scenario("undo of two, one unknown", (RESERVE, SHIP, PAY), faults=1, before=one_is_unknown),
    Scenario("undo that fails", (NOT_UNDONE, PAY), faults=2, before=one_was_done),
    Scenario("redrive of an undo", (NOT_UNDONE, PAY), faults=3, redrives=1, before=undo_is_stuck),
    Scenario("late, void and undo", (RESERVE, PAY), faults=2),
    Scenario("late, failing, undo", (replace(RESERVE, outcomes=MAY_FAIL), PAY), faults=1),
    Scenario(
        "dead, and then compensate",
        (RESERVE, replace(PAY, policy="compensate", outcomes=("fail",))),
        faults=1,
    ),
    Scenario(
        "closing steps", (RESERVE, PAY, replace(TELL, outcomes=MAY_FAIL)), faults=1, before=one_was_done
    ),
    Scenario("cancel and completion", (RESERVE, CONFIRM), faults=2, orders=("cancel",)),
    Scenario("cancel without undo", (RESERVE, CONFIRM), faults=2, orders=("cancel without undo",)),
    PAUSE,
    Scenario("pause of an undo", (NOT_UNDONE, PAY), faults=2, orders=("pause",), before=one_was_done),
    Scenario("pause and cancel", (RESERVE, CONFIRM), faults=2, orders=("pause", "cancel")),
    Scenario(
        "late in a cancelled run", (RESERVE, CONFIRM), faults=2, orders=("cancel",), before=one_was_done
    ),
    Scenario("skip", (UNDONE_IF_SKIPPED, PAY), faults=2, orders=("skip",), before=one_died),
)
