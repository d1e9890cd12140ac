"""I1 to I17: each a pure function from the evidence to what breaks it.

None of them asks `pavane.core` what is right: statuses, counters and the order of undo are worked out a second time
here, from what was asked and answered, from the ledger, and from the rows that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tests.checker.evidence import Evidence
from tests.checker.invariants.attempts import attempts_are_bounded
from tests.checker.invariants.commits import committed_once, only_the_holder_commits
from tests.checker.invariants.effects import effects_are_known
from tests.checker.invariants.events import committed_events_arrive, the_wire_is_committed
from tests.checker.invariants.letters import letters_are_listed
from tests.checker.invariants.places import everything_is_somewhere
from tests.checker.invariants.reads import reads_agree
from tests.checker.invariants.recovery import work_goes_on
from tests.checker.invariants.remains import nothing_remains
from tests.checker.invariants.starts import never_silent, one_run_for_each_start
from tests.checker.invariants.timers import joins_fire_when_complete, timers_fire_once
from tests.checker.invariants.undo import nothing_begins_in_a_failing_run, undone_is_what_was_done
from tests.checker.verdict import Violation

Invariant: TypeAlias = Callable[[Evidence], list[Violation]]

INVARIANTS: Mapping[str, Invariant] = {
    "I1": one_run_for_each_start,
    "I2": never_silent,
    "I3": committed_once,
    "I4": only_the_holder_commits,
    "I5": the_wire_is_committed,
    "I6": committed_events_arrive,
    "I7": everything_is_somewhere,
    "I8": undone_is_what_was_done,
    "I9": nothing_begins_in_a_failing_run,
    "I10": timers_fire_once,
    "I11": joins_fire_when_complete,
    "I12": attempts_are_bounded,
    "I13": letters_are_listed,
    "I14": effects_are_known,
    "I15": reads_agree,
    "I16": nothing_remains,
    "I17": work_goes_on,
}
