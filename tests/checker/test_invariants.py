"""Each invariant finds evidence that breaks it, and nothing else; the evidence as it was is clean."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pavane.core.record import StepRow, Work
from tests.checker import tampered_jobs, tampered_runs
from tests.checker.evidence import Evidence, Planned
from tests.checker.history import Entry
from tests.checker.invariants import INVARIANTS
from tests.checker.judge import judge
from tests.checker.stories import added, afternoon, of_record, row_of
from tests.checker.tampering import TAMPERINGS, Tampering


@pytest.fixture(scope="module")
def clean() -> Evidence:
    return asyncio.run(afternoon())


def test_an_afternoon_without_a_broken_promise_is_clean(clean: Evidence) -> None:
    verdict = judge(clean)
    assert verdict.clean, str(verdict)
    assert verdict.counts["runs"] == 5
    assert [report.what for report in verdict.reports] == [], "pack failed before it did anything"


def test_each_invariant_is_broken_here() -> None:
    assert {tampering.__module__ for _, tampering in TAMPERINGS} == {
        tampered_runs.__name__,
        tampered_jobs.__name__,
    }
    assert {invariant for invariant, _ in TAMPERINGS} == INVARIANTS.keys()


@pytest.mark.parametrize(
    ("invariant", "tampering"),
    TAMPERINGS,
    ids=[f"{invariant}-{tampering.__name__}" for invariant, tampering in TAMPERINGS],
)
def test_what_breaks_it_is_found(invariant: str, tampering: Tampering, clean: Evidence) -> None:
    found = judge(tampering(clean)).violations
    assert {violation.invariant for violation in found} == {invariant}, "\n".join(map(str, found))


def test_a_store_that_forgot_is_forgiven_what_it_forgot(clean: Evidence) -> None:
    evidence, record = of_record(clean, "a")
    row_of(record, "tell").work.done = False
    rewound = replace(evidence, rewound=frozenset({"parcels:a"}))
    verdict = judge(rewound, forgetful=True)
    assert verdict.clean, str(verdict)
    assert [report.invariant for report in verdict.reports] == ["I3"]
    assert not judge(rewound).clean
    assert not judge(evidence, forgetful=True).clean, "of that record, and of no other"


def test_a_dead_holders_lease_stays_in_a_paused_run_that_holds_the_job(clean: Evidence) -> None:
    """A begin that finds the lease over answers *paused* and takes nothing: the row is as its holder left it."""
    evidence, record = of_record(clean, "e")
    job = next(iter(record.held.values()))
    over = Work(token=1, lease_until=clean.now)
    record.steps[job.step] = StepRow(step=job.step, worker=job.worker, event=job.event, work=over)
    record.head.leases = 1
    assert INVARIANTS["I16"](evidence) == []
    over.lease_until += 1
    assert [one.what for one in INVARIANTS["I16"](evidence)] == [f"somebody still holds {job.step}"]
    over.lease_until -= 1
    record.head.paused_at = 0
    assert [one.what for one in INVARIANTS["I16"](evidence)] == [f"somebody still holds {job.step}"]
    record.head.paused_at = 1
    del record.held[job.id]
    assert [one.what for one in INVARIANTS["I16"](evidence)] == [f"somebody still holds {job.step}"]
    record.head.leases = 0
    assert "0 leases are counted, there are 1" in str(INVARIANTS["I16"](evidence))


def test_an_effect_that_happened_twice_is_reported_and_no_violation(clean: Evidence) -> None:
    verdict = judge(replace(clean, effects=[*clean.effects, clean.effects[0]]))
    assert verdict.clean, str(verdict)
    assert "was done 2 times" in str(verdict.reports[0])


def test_what_proves_little_says_so(clean: Evidence) -> None:
    never = [Planned(record=f"parcels:{number}") for number in range(10)]
    plan = replace(
        clean.plan,
        starts=(*clean.plan.starts, *never),
        faults=frozenset({"kill"}),
        crash_points=frozenset({"commit"}),
        outcomes=frozenset({"completed", "cancelled"}),
    )
    assert judge(replace(clean, plan=plan)).vacuity == [
        "only 5 of 15 planned starts were accepted",
        "the fault kill never struck",
        "nobody died at commit",
        "no run is cancelled",
    ]


def test_faults_that_struck_are_counted(clean: Evidence) -> None:
    fault = Entry(at=0, process="nemesis", seq=1, type="invoke", op="nemesis", detail={"what": "kill"})
    struck = added(clean, fault, replace(fault, seq=2, type="ok", of=1), before=clean.history[0])
    verdict = judge(replace(struck, plan=replace(clean.plan, faults=frozenset({"kill"}))))
    assert verdict.vacuity == []
    assert verdict.counts["fault kill"] == 1
