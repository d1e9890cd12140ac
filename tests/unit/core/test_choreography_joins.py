"""Joins in a choreography: which can be complete, and what that means for endings, undos and cycles."""

from __future__ import annotations

from typing import Any

import pytest

from pavane.core.choreography import Contract, Program, Worker
from pavane.core.choreography_findings import findings_of
from tests.unit.core.test_choreography import HOUR, findings, flow, found, worker


def join(hears: str, results: str = "", **more: Any) -> Worker:
    """`s.j`, which waits for all of its events."""
    return worker("j", hears, results, joins=True, **more)


def side_by_side(*results: str, **more: Any) -> list[Worker]:
    """A worker on `begun` for each; nothing leaves them but their results."""
    return [
        worker(f"w{number}", "begun", each, returns_only=True, **more) for number, each in enumerate(results)
    ]


def test_a_join_of_branches_is_sound_also_where_each_of_them_can_fail_the_run() -> None:
    assert found(*side_by_side("x", "y"), join("x y", "done")) == []
    failing = flow("no_x no_y")
    assert found(*side_by_side("x no_x", "y no_y"), join("x y", "done"), workflow=failing) == []


def test_a_join_lacks_an_event_that_nobody_sends() -> None:
    end = worker("a", "begun", "done", extras="x")
    [finding] = findings(end, join("x y"))
    assert (finding.code, finding.subject, finding.severity) == ("unfillable_join", "s.j", "error")
    assert "nobody sends y" in finding.message
    assert found(end, join("x y"), outside="y") == []
    assert found(worker("a", "begun", "done"), join("x y")) == [("unreachable_worker", "s.j")]


def test_what_only_an_unfillable_join_sends_never_comes() -> None:
    assert found(worker("a", "begun", "x"), join("x y", "done")) == [
        ("endless_workflow", "flow"),
        ("unfillable_join", "s.j"),
    ]


def test_a_join_of_alternatives_is_never_complete() -> None:
    [ab] = side_by_side("x y")
    [finding] = findings(ab, worker("b", "x y", "done"), join("x y"))
    assert (finding.code, finding.subject) == ("unfillable_join", "s.j")
    assert "s.w0 gives one of its results" in finding.message


def test_alternatives_are_so_wherever_they_lead() -> None:
    end = worker("e", "p q", "done")
    [choice] = side_by_side("x y")
    far = (worker("b", "x", "p", returns_only=True), worker("c", "y", "q", returns_only=True))
    assert found(choice, *far, end, join("p q")) == [("unfillable_join", "s.j")]
    assert found(choice, *far, end, join("begun q")) == []
    later = worker("b", "x", "p q", returns_only=True)
    assert found(choice, later, worker("c", "y", "done"), end, join("p q")) == [("unfillable_join", "s.j")]
    joined = worker("k", "p x", "r q", joins=True, returns_only=True)
    assert found(*side_by_side("p", "x"), joined, worker("e", "q r", "done"), join("q r")) == [
        ("unfillable_join", "s.j")
    ]


@pytest.mark.parametrize(
    "workers",
    [
        # Not seen in its source, or beside its result, or when its attempts are used up.
        (worker("a", "begun", "x y"),),
        (worker("a", "begun", "x", extras="y"),),
        (worker("a", "begun", "x z", answers="y", returns_only=True), worker("c", "z", "done")),
        # Somebody else sends it as well.
        (*side_by_side("x y"), worker("c", "x", "y")),
        # More than one step of it in a run.
        (*side_by_side("p", "q"), worker("c", "p q", "x y", returns_only=True)),
        (worker("a", "begun", "p", extras="q"), worker("c", "p q", "x y", returns_only=True)),
        (worker("a", "begun", extras="p"), worker("c", "p", "x y", returns_only=True)),
        # An answered job may be tried again by hand.
        (*side_by_side("p", answers="q"), worker("c", "p q", "x y", returns_only=True)),
        (worker("a", "begun", "p"), worker("c", "p later", "x y", returns_only=True)),
        (worker("c", "begun later", "x y", returns_only=True),),
    ],
)
def test_what_may_come_together_is_no_alternative(workers: tuple[Worker, ...]) -> None:
    end = worker("e", "x y", "done")
    left = [one for one in found(*workers, end, join("x y"), outside="later") if one != ORPHAN]
    assert left == []


ORPHAN = ("orphan_event", "later")


def test_a_cycle_can_bring_both() -> None:
    again = worker("a", "begun again", "x y", returns_only=True)
    assert found(again, worker("b", "x", extras="again"), worker("e", "y", "done"), join("x y")) == []


def test_a_failing_event_joins_only_in_a_run_that_can_complete_without_the_join() -> None:
    branches = side_by_side("x", "no")
    alone = (*branches, join("x no", "done"))
    assert found(*alone, workflow=flow("no")) == [("endless_workflow", "flow"), ("unfillable_join", "s.j")]
    assert found(*branches, worker("c", "x", "done"), join("x no"), workflow=flow("no")) == []


def test_a_join_of_an_ending_is_a_closing_step() -> None:
    way = (worker("a", "begun", "x"), worker("b", "x", "done"))
    closing = join("x done", has_effect=True)
    assert found(*way, closing, workflow=flow(deadline_ms=HOUR)) == []
    assert found(*way, join("x begun", has_effect=True), workflow=flow(deadline_ms=HOUR)) == [
        ("missing_undo", "s.j")
    ]
    assert found(*way, join("done pavane.run_ended")) == []
    assert found(worker("a", "begun", "done"), join("done begun", "settled"), workflow=flow("settled")) == []
    late = (worker("a", "begun", extras="x"), worker("b", "x", "broken"), join("broken x", "done"))
    assert ("endless_workflow", "flow") in found(*late, workflow=flow("broken"))


def test_events_of_different_runs_never_come_together() -> None:
    other = Contract(name="other", starts_with="next", completes_with=("finished",))
    workers = (worker("a", "begun", "done", extras="next"), worker("b", "next", "finished"))

    def told(*joined: Worker) -> list[str]:
        program = Program(
            name="p", workers=(*workers, *joined), workflows=(flow(), other), outside=("news", "more")
        )
        return [one.message for one in findings_of([program]) if one.code == "unfillable_join"]

    [message] = told(join("begun next"))
    assert "begun comes only in runs of flow, next comes only in runs of other" in message
    assert told(join("begun news")) == []
    outside = join("news more")
    assert told(outside) == []
    program = Program(name="p", workers=(outside,), outside=("news", "more"))
    [finding] = [one for one in findings_of([program]) if one.code == "unfillable_join"]
    assert "news comes in no run, more comes in no run" in finding.message


def test_a_join_leads_on_only_if_its_other_events_come() -> None:
    stuck = (*side_by_side("x", "y z"), join("x y", "done"), worker("c", "z"))
    [finding] = findings(*stuck)
    assert finding.code == "endless_workflow"
    assert "After z" in finding.message
    assert found(*stuck, workflow=flow("z")) == []
    assert found(*side_by_side("x", "y z"), join("x y", "done"), worker("c", "z", "done")) == []
    assert found(*side_by_side("x", "y z"), join("x y", "done"), worker("c", "z", "y")) == []
    assert found(worker("a", "begun", "x done"), join("x y", "done")) == [
        ("endless_workflow", "flow"),
        ("unfillable_join", "s.j"),
    ]
    aside = (worker("c", "begun", "noted"), worker("d", "noted"))
    assert found(*side_by_side("x"), join("x begun", "done"), *aside) == []


def test_no_cycle_turns_through_a_join() -> None:
    way = (worker("a", "begun", "done", extras="x"), worker("b", "again", "x"))
    assert found(*way, worker("j", "x", "again")) == [("cycle_without_timer", "s.b")]
    assert found(*way, join("x begun", "again")) == []
