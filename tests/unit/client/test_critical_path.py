"""The critical path of a run, over records made by hand."""

from __future__ import annotations

from pavane.client.critical_path import critical_path
from pavane.core.identity import step_id
from pavane.core.record import EventRow, Head, Join, Record, StepRow, StepState

START = 1_767_225_600_000


def event(id: str, producer: str = "client", causation: str = "") -> EventRow:
    return EventRow(
        id=id, name=f"test.{id}", version=1, time=START, payload=b"{}", producer=producer, causation=causation
    )


def step(
    worker: str, begun_with: str, began: int, ended: int, *emitted: str, state: StepState = "committed"
) -> StepRow:
    return StepRow(
        step=step_id(worker, begun_with),
        worker=worker,
        event=begun_with,
        state=state,
        started_at=START + began,
        ended_at=START + ended if ended else 0,
        emitted=list(emitted),
    )


def run(*rows: StepRow, end: str = "", events: tuple[EventRow, ...] = ()) -> Record:
    head = Head(key="w:1", workflow="w", run_id="1", started_at=START, end_event=end)
    known = {one.id: one for one in (event("start"), *events)}
    return Record(head=head, steps={row.step: row for row in rows}, events=known)


def test_it_leads_from_the_start_to_the_step_that_ended_the_run() -> None:
    first = step("a.one", "start", 100, 300, "x", "y")
    slow, quick = step("a.slow", "x", 500, 2_500), step("a.quick", "y", 400, 600, "end")
    path = critical_path(run(first, slow, quick, end="end", events=(event("x"), event("y"))))
    assert [one.worker for one in path.path] == ["a.one", "a.quick"]
    assert [(one.waited_s, one.duration_s) for one in path.path] == [(0.1, 0.2), (0.1, 0.2)]
    assert (path.total_s, path.path[1].event) == (0.6, "test.y")


def test_of_a_join_the_cause_that_came_last_is_on_it() -> None:
    first = step("a.one", "start", 0, 100, "x", "y")
    early, late = step("a.early", "x", 100, 200, "p"), step("a.late", "y", 100, 900, "q")
    both = step("a.both", "joined", 950, 1_000, "end")
    record = run(first, early, late, both, end="end", events=(event("p"), event("q"), event("joined")))
    record.joins["a.both"] = Join(
        worker="a.both", event="joined", names=("p", "q"), arrived=(("p", "p"), ("q", "q")), fired=True
    )
    path = critical_path(record).path
    assert [one.worker for one in path] == ["a.one", "a.late", "a.both"]
    assert (path[2].event, path[2].waited_s, path[2].duration_s) == ("test.q", 0.05, 0.05)


def test_a_timer_leads_back_to_the_step_that_set_it() -> None:
    first = step("a.one", "start", 0, 100)
    late = step("a.two", "timed", 60_100, 60_200)
    path = critical_path(run(first, late, events=(event("timed", "a.one", "start"),)))
    assert [(one.worker, one.waited_s) for one in path.path] == [("a.one", 0.0), ("a.two", 60.0)]


def test_of_a_run_that_has_not_ended_it_leads_to_what_has_not() -> None:
    first = step("a.one", "start", 0, 100, "x", "y")
    done, runs = step("a.done", "x", 100, 900), step("a.runs", "y", 200, 0, state="running")
    path = critical_path(run(first, done, runs))
    assert [one.worker for one in path.path] == ["a.one", "a.runs"]
    assert (path.total_s, path.path[1].duration_s, path.path[1].ended_at) == (None, None, None)


def test_a_run_without_steps_has_none_and_a_circle_ends() -> None:
    assert critical_path(run()).path == []
    one, two = step("a.one", "x", 0, 100, "y"), step("a.two", "y", 0, 100, "x")
    assert len(critical_path(run(one, two, end="y")).path) == 2
