"""I15: what readers are told agrees with what there is, and never goes back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pavane.core.record import Record
from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant
from tests.checker.operations import Operation

PHASES = ("running", "compensating", "ended")
ENDED = ("completed", "failed", "compensated", "cancelled")
GROWING = ("seq", "commits", "tokens")


@invariant("I15")
def reads_agree(evidence: Evidence) -> Iterator[Finding]:
    """No read shows less than one that had ended before it began; the listing shows each run as it is."""
    reads: defaultdict[str, list[Operation]] = defaultdict(list)
    for read in evidence.operations.of("read"):
        if read.confirmed:
            reads[read.asked.record].append(read)
    committed: defaultdict[str, list[Operation]] = defaultdict(list)
    for commit in evidence.operations.of("commit", answers=("Committed", "Late")):
        committed[commit.asked.record].append(commit)
    for key, of_record in reads.items():
        for what in went_back(of_record):
            yield key, what
        for what in unseen_commits(of_record, committed[key]):
            yield key, what
    if evidence.listed is not None:
        yield from listed_as_is(evidence, evidence.listed)


def went_back(reads: list[Operation]) -> Iterator[str]:
    """Reads that saw less than an earlier one. Those that overlap say nothing about each other."""
    by_end = sorted(reads, key=lambda read: read.over)
    best: dict[str, Any] = {}
    done = 0
    for read in sorted(reads, key=lambda read: read.begun):
        while by_end[done].over < read.begun:
            best = newest(best, seen(by_end[done]))
            done += 1
        now = seen(read)
        if not now and best:
            yield "was read as gone after it had been there"
        for name in GROWING:
            if now and now["started_at"] == best.get("started_at") and now[name] < best[name]:
                yield f"was read with {name} {now[name]} after {best[name]}"
        if now and best and rank(now) < rank(best):
            yield f"was read as {now['phase']} after {best['phase']}"
        if now and best and not set(best["committed"]) <= set(now["committed"]):
            missing = sorted(set(best["committed"]) - set(now["committed"]))
            yield f"was read without the commit of {', '.join(missing)} that had been seen"


def seen(read: Operation) -> dict[str, Any]:
    """What a read saw; nothing if the record was not there."""
    return dict(read.ended.detail) if read.ended is not None and read.answer == "Record" else {}


def newest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return other if other and (not one or other["seq"] >= one["seq"]) else one


def rank(read: Mapping[str, Any]) -> int:
    return PHASES.index("ended" if read["phase"] in ENDED else read["phase"])


def unseen_commits(reads: list[Operation], commits: list[Operation]) -> Iterator[str]:
    """Commits that had been answered before a read began, and that it did not show."""
    for read in reads:
        now = seen(read)
        for commit in commits:
            if now and commit.over < read.begun and commit.asked.step not in now["committed"]:
                yield f"was read without the commit of {commit.asked.step}, which was answered before"


def listed_as_is(evidence: Evidence, listed: Mapping[str, str]) -> Iterator[Finding]:
    """The listing names each run once, with the status that follows from its record."""
    runs = {key: record for key, record in evidence.records.items() if record.head.is_run}
    for key in runs.keys() - listed.keys():
        yield key, "is there, and is not listed"
    for key, status in listed.items():
        if key not in runs:
            yield key, f"is listed as {status}, and is not there"
        elif status != (expected := status_of(runs[key])):
            yield key, f"is listed as {status}, and is {expected}"


def status_of(record: Record) -> str:
    """The status that DESIGN says is shown, worked out from the rows."""
    head = record.head
    if head.phase in ENDED:
        return head.phase
    if head.paused_at:
        return "paused"
    if head.stalled:
        return "stalled"
    at_work = (
        record.outbox
        or record.held
        or any(
            row.state in ("retrying",) or row.work.token or (row.undo is not None and row.undo.token)
            for row in record.steps.values()
        )
    )
    waits = record.timers or (
        head.phase == "running" and any(not join.fired for join in record.joins.values())
    )
    return "waiting" if waits and not at_work else head.phase
