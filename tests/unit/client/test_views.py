"""From records to what a reader sees, on records made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pavane.client import views
from pavane.core.record import (
    Attempt,
    EventRow,
    Head,
    HeldJob,
    History,
    Join,
    Letter,
    Record,
    StepRow,
    Timer,
    Work,
)

T0 = 1_767_225_600_000
AT = datetime(2026, 1, 1, tzinfo=UTC)


def event(id_: str, payload: bytes = b'{"a":1}') -> EventRow:
    trace = ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", "")
    return EventRow(id=id_, name="a.b", version=2, time=T0, payload=payload, producer="client", trace=trace)


def run(**head) -> Record:
    return Record(
        head=Head(key="orders:1", workflow="orders", run_id="1", started_at=T0, updated_at=T0, **head),
        events={"e": event("e")},
    )


def row(step: str = "s.w:e", **fields: Any) -> StepRow:
    given: dict[str, Any] = {"step": step, "worker": "s.w", "event": "e", "started_at": T0}
    return StepRow(**(given | fields))


def letter(**fields: Any) -> Letter:
    given: dict[str, Any] = {
        "id": "l", "kind": "step", "step": "s.w:e", "worker": "s.w", "event": "e", "reason": "attempts",
        "error": "boom", "error_type": "Boom", "dead_at": T0,
    }  # fmt: skip
    return Letter(**(given | fields))


def test_a_young_run_has_nulls_where_nothing_is() -> None:
    status = views.run_status(run())
    assert status.model_dump() == {
        "run": "orders:1", "workflow": "orders", "run_id": "1", "status": "running", "phase": "running",
        "paused": False, "stalled": [], "reason": None, "state": None, "data": {}, "attributes": {},
        "result": None, "started_at": AT, "updated_at": AT, "ended_at": None, "deadline_at": None,
        "parent": None, "children": 0, "steps": {}, "waiting_for": [],
    }  # fmt: skip


def test_an_ended_run_shows_its_reason_its_result_and_its_data() -> None:
    record = run(phase="completed", reason="a.b", end_event="e", ended_at=T0 + 1500, deadline_at=0)
    record.data = {"price": b"1.5", "who": b'{"n":"x"}'}
    record.steps = {
        "1": row("1", state="committed"),
        "2": row("2", state="dead"),
        "3": row("3", state="dead"),
    }
    record.letters = {"l": letter()}
    status = views.run_status(record)
    assert (status.status, status.reason, status.ended_at) == (
        "completed", "a.b", datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC),
    )  # fmt: skip
    assert status.data == {"price": 1.5, "who": {"n": "x"}}
    assert status.steps == {"committed": 1, "dead": 2}
    assert status.waiting_for == []
    assert status.result is not None
    assert status.result.model_dump() == {
        "id": "e", "name": "a.b", "version": 2, "time": AT, "payload": {"a": 1}
    }  # fmt: skip


def test_a_run_waits_for_timers_retries_letters_and_stuck_undos() -> None:
    record = run(stalled=["dead:s.w:e"])
    record.timers = {"t": Timer(key="t", at=T0 + 1000, event=event("e"), set_by="s.w:e")}
    failed = Attempt(number=1, token=1, started_at=T0, host="h", ended_at=T0 + 10, outcome="failed")
    record.steps = {
        "r": row("r", state="retrying", work=Work(next_at=T0 + 2000, attempts=[failed])),
        "u": row("u", state="undoing", undo=Work(generation=1, next_at=T0 + 3000)),
        "busy": row("busy", state="undoing", undo=Work(generation=1, token=4)),
        "closing": row("closing", state="dead", closing=True),
    }
    record.letters = {
        "l": letter(), "s": letter(id="s", kind="undo"), "a": letter(id="a", answered=True),
        "c": letter(id="c", step="closing"),
    }  # fmt: skip
    found = [(one.kind, one.ref, one.until) for one in views.waiting_for(record)]
    assert found == [
        ("timer", "t", datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("retry", "r", datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)),
        ("retry", "u", datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)),
        ("dead_letter", "l", None),
        ("undo_stuck", "s", None),
    ]
    assert views.run_status(record).status == "stalled"


def test_a_paused_run_lists_what_is_held_in_order_and_not_once_more_as_a_retry() -> None:
    record = run(paused_at=T0 + 5)
    record.steps = {
        "r": row("r", state="retrying", work=Work(next_at=T0 + 2000)),
        "o": row("o", state="retrying"),
    }
    record.held = {
        id_: HeldJob(
            id=id_,
            order=order,
            kind="step",
            worker="s.w",
            step=step,
            event="e",
            generation=0,
            since=T0 + order,
        )
        for id_, order, step in (("second", 2, "r"), ("first", 1, "new"))
    }
    record.steps["u"] = row("u", state="undoing", undo=Work(generation=1))
    record.held["undo"] = HeldJob(
        id="undo", order=3, kind="undo", worker="s.w", step="u", event="", generation=1, since=T0 + 3
    )
    status = views.run_status(record)
    assert (status.status, status.phase, status.paused) == ("paused", "running", True)
    assert [(one.kind, one.ref) for one in status.waiting_for] == [
        ("held", "new"), ("held", "r"), ("held", "u"), ("retry", "o"),
    ]  # fmt: skip
    assert status.waiting_for[0].since == datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)


def test_a_join_is_waited_for_while_it_is_open_and_the_run_is_running() -> None:
    record = run()
    record.joins = {
        "s.open": Join(worker="s.open", event="j", names=("a", "b"), arrived=(("a", "e"),), since=T0 + 1),
        "s.fired": Join(
            worker="s.fired", event="k", names=("a",), arrived=(("a", "e"),), fired=True, since=T0
        ),
    }
    status = views.run_status(record)
    assert [(one.kind, one.ref, one.worker) for one in status.waiting_for] == [("join", "s.open", "s.open")]
    assert status.status == "waiting"
    record.head.phase = "compensating"
    assert views.waiting_for(record) == []


def test_the_undo_of_a_skipped_step_has_an_unknown_outcome() -> None:
    step = row(state="undone", order=3, skipped=True, undo=Work(done=True))
    view = views.step_view(run(), step)
    assert view.undo is not None
    assert view.undo.outcome == "unknown"


def test_details_of_the_history_are_times_numbers_lists_and_yes_or_no_where_they_are() -> None:
    def detail(**given: str) -> dict[str, Any]:
        line = History(seq=1, at=T0, kind="x", detail=tuple(sorted(given.items())))
        return views.history_entry(line).detail

    assert detail(at=str(T0), before="") == {"at": AT.isoformat(), "before": None}
    assert detail(before=str(T0)) == {"before": AT.isoformat()}
    assert detail(left="a.b:1 a.c:2", left_count="2") == {"left": ["a.b:1", "a.c:2"], "left_count": 2}
    assert detail(left="", left_count="0") == {"left": [], "left_count": 0}
    assert detail(undo="false", delay="250") == {"undo": False, "delay_s": 0.25}
    assert detail(status="completed", id="1") == {"status": "completed", "id": "1"}


def test_a_step_shows_its_input_attempts_and_undo() -> None:
    record = run()
    lost = Attempt(number=1, token=1, started_at=T0, host="h1", ended_at=T0 + 10, outcome="lost")
    failed = Attempt(
        number=2, token=2, started_at=T0, host="h2", ended_at=T0 + 20, outcome="failed", error="x",
        error_type="X", delay=5250,
    )  # fmt: skip
    step = row(
        state="undone", order=1, ended_at=T0 + 2500, result="e", emitted=["e"], progress=0.5, note="half",
        work=Work(grants=2, attempts=[lost, failed], done=True),
        undo=Work(done=True, attempts=[failed]),
    )  # fmt: skip
    view = views.step_view(record, step)
    assert (view.attempt, view.host, view.duration_s, view.progress, view.note) == (2, "h2", 2.5, 0.5, "half")
    assert [one.outcome for one in view.attempts] == ["lost", "failed"]
    assert (view.attempts[1].delay_s, view.attempts[1].error_type) == (5.25, "X")
    assert view.event is not None
    assert view.event.payload == {"a": 1}
    assert view.undo is not None
    assert (view.undo.status, view.undo.outcome) == ("undone", "committed")
    assert view.undo.ended_at == datetime(2026, 1, 1, 0, 0, 0, 20_000, tzinfo=UTC)
    assert (view.lease_until, view.next_attempt_at, view.member, view.error) == (None, None, None, None)


def test_a_running_step_shows_its_lease_and_an_unknown_undo_its_outcome() -> None:
    running = Attempt(number=1, token=7, started_at=T0, host="h")
    step = row(state="undoing", work=Work(token=7, lease_until=T0 + 1000, attempts=[running]), undo=Work())
    view = views.step_view(run(), step)
    assert view.lease_until == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert view.attempts[0].outcome is None
    assert view.progress is None
    assert view.undo is not None
    assert (view.undo.status, view.undo.outcome, view.undo.ended_at) == ("undoing", "unknown", None)


def test_history_details_are_seconds_and_times() -> None:
    line = History(
        seq=3, at=T0, kind="step_retrying", worker="s.w", step="s.w:e", attempt=2, cause="e",
        detail=(("at", str(T0)), ("delay", "5250"), ("error", "boom")),
    )  # fmt: skip
    view = views.history_entry(line)
    assert view.detail == {"at": "2026-01-01T00:00:00+00:00", "delay_s": 5.25, "error": "boom"}
    assert (view.event, view.by, view.reason, view.cause, view.attempt) == (None, None, None, "e", 2)


def test_a_letter_shows_its_jobs_attempts_and_its_trace() -> None:
    record = run()
    failed = Attempt(number=1, token=1, started_at=T0, host="h", ended_at=T0 + 10, outcome="failed")
    record.steps = {"s.w:e": row(state="dead", work=Work(attempts=[failed]))}
    view = views.dead_letter(record, letter(headers=(("a", "b"),), traceback="tb", redrives=2))
    assert (view.run, view.workflow, view.attempts[0].host, view.headers) == (
        "orders:1", "orders", "h", {"a": "b"},
    )  # fmt: skip
    assert (view.trace_id, view.traceback, view.redrives) == ("0af7651916cd43dd8448eb211c80319c", "tb", 2)


def test_a_letter_outside_runs_that_nobody_could_read() -> None:
    record = Record(head=Head(key="~x"))
    view = views.dead_letter(record, letter(kind="message", event="", raw="/w==", reason="undecodable"))
    assert (view.run, view.workflow, view.event, view.raw, view.attempts) == (None, None, None, "/w==", [])


def test_a_payload_that_is_no_json_is_shown_as_nothing() -> None:
    assert views.event_record(event("e", b"\xff")).payload is None
