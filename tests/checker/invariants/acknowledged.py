"""I7, the acknowledgements: a delivery is settled only when what the store has answered is safe on the broker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from pavane.core.record import JobKind
from tests.checker.evidence import Evidence
from tests.checker.history import Entry
from tests.checker.invariants.findings import Finding
from tests.checker.operations import Operation

CALLS = ("begin", "commit", "commit_undo", "fail", "reject", "release", "hold", "take_turn")
NEEDS_NOTHING = ("Held", "Refused")
NEEDS_ROWS = ("Committed", "Late", "Recorded")
NEEDS_A_COPY = ("Leased", "NotYet", "Retrying", "PutBack", "Released", "TooEarly")

Settling = tuple[str, str, JobKind]
"""A process and the job that it settles."""


class Settlements:
    """What each process has been answered and has published, for the jobs that it settles."""

    def __init__(self, evidence: Evidence) -> None:
        self._answers: defaultdict[Settling, list[Operation]] = defaultdict(list)
        self._copies: defaultdict[Settling, list[Operation]] = defaultdict(list)
        self._events: defaultdict[tuple[str, str], list[Operation]] = defaultdict(list)
        self._handed: defaultdict[tuple[str, str, str], list[Operation]] = defaultdict(list)
        self._places = evidence.operations.places
        for call in evidence.operations.of(*CALLS):
            if call.answer:
                self._answers[call.asked.process, call.asked.step, call.asked.kind].append(call)
        for publish in evidence.operations.of("publish"):
            asked = publish.asked
            if not (publish.confirmed or publish.failed):
                continue
            self._events[asked.process, asked.event].append(publish)
            if asked.detail["to"] != "subscribers":
                self._copies[asked.process, asked.step, asked.kind].append(publish)

        for handed in evidence.operations.of("hand_over"):
            for record, row in handed.asked.detail["rows"]:
                self._handed[handed.asked.process, record, row].append(handed)

    def is_safe(self, ack: Entry, acked: int) -> bool:
        """Whether some answer between the delivery and here allowed it, and what that asked for was done."""
        delivered = self._places.get((ack.process, ack.of), 0)
        job = ack.process, ack.step, ack.kind
        copies = [copy for copy in self._copies[job] if delivered < copy.over < acked and copy.confirmed]
        answers = [answer for answer in self._answers[job] if delivered < answer.over < acked]
        if not answers:
            return bool(copies)  # a version that nobody knows yet, or a message under another name
        return any(self._is_done(answer, acked, copies) for answer in answers)

    def _is_done(self, answer: Operation, acked: int, copies: list[Operation]) -> bool:
        after = [copy for copy in copies if copy.begun > answer.over]
        letters = [copy for copy in after if copy.asked.detail["to"] == "letters"]
        match answer.answer:
            case name if name in NEEDS_NOTHING:
                return True
            case name if name in NEEDS_ROWS:
                return all(self._is_out(answer, row, acked) for row in answer.rows)
            case name if name in NEEDS_A_COPY:
                return len(after) > len(letters)
            case "Dead":
                rows = all(self._is_out(answer, row, acked) for row in answer.rows)
                return rows and (bool(letters) or not answer.said("publish"))
            case "Stale":
                return bool(after) or not answer.said("publish")
            case _:
                return False

    def _is_out(self, answer: Operation, row: list[Any], acked: int) -> bool:
        """Whether the process has published a row of this answer, was told that nobody wants it, or has left it to
        the service that may publish it: until then it stays in the outbox."""
        name, record, event = row[0], row[2], row[3]
        process = answer.asked.process
        handed = [one for one in self._handed[process, record, name] if one.confirmed]
        done = [*self._events[process, event], *handed]
        return any(answer.over < one.begun and one.over < acked for one in done)


def acked_too_early(evidence: Evidence) -> Iterator[Finding]:
    settlements = Settlements(evidence)
    nameless = {
        (call.asked.process, call.asked.worker)
        for call in evidence.operations.of("reject", answers=("Dead", "Committed", "Stale", "PutBack"))
    }
    for place, ack in evidence.operations.happened["ack"]:
        if ack.detail["queue"].split(".")[1] not in ("q", "undo"):
            continue  # letters and intakes: I13 sees what is lost there
        if not settlements.is_safe(ack, place) and (ack.process, ack.worker) not in nameless:
            yield ack.record, f"{ack.step} was acknowledged by {ack.process} before everything of it was safe"
