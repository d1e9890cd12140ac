"""The history of a run for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pavane.cli.history_view import Background, cells, history_line
from pavane.model.views import EventRecord, HistoryEntry, Step, UndoInfo

AT = datetime(2026, 1, 1, tzinfo=UTC)


def line(kind: str, **fields: Any) -> HistoryEntry:
    whole: dict[str, Any] = dict.fromkeys(("worker", "step_id", "attempt", "event", "cause", "by", "reason"))
    return HistoryEntry(**(whole | {"seq": 1, "at": AT, "kind": kind, "detail": {}} | fields))


def told(*lines: HistoryEntry, background: Background | None = None) -> list[str]:
    """All but time, of each line."""
    background = background or Background()
    return [" | ".join(cells(one, background)[1:]) for one in lines]


def test_events_are_named_by_the_lines_before() -> None:
    assert told(
        line("run_started", event="order.placed", cause="e1", by="operator-1"),
        line("step_started", worker="s.w", step_id="s.w:e1", attempt=1, cause="e1"),
        line(
            "event_emitted",
            worker="s.w",
            step_id="s.w:e1",
            event="order.done",
            cause="e1",
            detail={"id": "e2"},
        ),
        line("step_started", worker="s.v", step_id="s.v:e2", attempt=2, cause="e2"),
        line("event_emitted", event="order.paid", cause="e3", by="operator-2"),
    ) == [
        "run_started | operator-1 | order.placed | ",
        "step_started | s.w | order.placed | attempt 1",
        "event_emitted | s.w | order.placed | emits order.done",
        "step_started | s.v | order.done | attempt 2",
        "event_emitted | operator-2 | order.paid | from outside",
    ]


def test_a_page_from_the_middle_has_the_names_of_the_steps() -> None:
    event = EventRecord(id="e1", name="order.placed", version=1, time=AT, payload={})
    step = Step(step_id="s.w:e1", worker="s.w", status="committed", event=event)
    entry = line("step_committed", worker="s.w", step_id="s.w:e1", attempt=1)
    assert told(entry, background=Background([step])) == ["step_committed | s.w | order.placed | attempt 1"]
    assert told(entry) == ["step_committed | s.w |  | attempt 1"]


def test_an_undo_is_because_of_what_the_run_fails_of() -> None:
    undo = line(
        "undo_stuck", worker="s.w", step_id="s.w:e1", attempt=9, reason="attempts", detail={"error": "no"}
    )
    started = line("compensation_started", by="operator-1", reason="operator", detail={"why": "too old"})
    assert told(started, undo, line("compensated", reason="operator")) == [
        "compensation_started | operator-1 | given up by hand | too old",
        "undo_stuck | s.w | given up by hand | attempt 9; dead letter, no attempts left: no",
        "compensated |  | given up by hand | ",
    ]


def test_what_is_left_after_an_undo_is_named() -> None:
    unknown = UndoInfo(status="undone", outcome="unknown", attempts=[])
    steps = [
        Step(step_id="s.a:e1", worker="s.a", status="committed"),
        Step(step_id="s.w:e1", worker="s.w", status="undone", undo=unknown),
    ]
    undo = line("undo_started", worker="s.w", step_id="s.w:e1", attempt=1)
    kept = {"not_undone": ["s.a:e1"], "not_undone_count": 1}
    ended = line("compensated", reason="order.declined", detail=kept)
    assert told(undo, ended, background=Background(steps)) == [
        "undo_started | s.w |  | attempt 1; of its step, of which nobody knows what it did",
        "compensated |  | order.declined | without undo: s.a",
    ]


def test_what_people_do_is_told_with_their_names_and_words() -> None:
    moved = {"at": "2026-01-03T00:00:00+00:00", "before": "2026-01-02T00:00:00+00:00"}
    left = {"left": ["s.w:e1", "s.v:e2"], "left_count": 5}
    assert told(
        line("cancel_requested", by="operator-1", reason="too late", detail={"undo": False}),
        line(
            "cancel_requested",
            by="operator-2",
            reason="too",
            detail={"asked": "cancel", "refused": "run_completed"},
        ),
        line("cancelled", reason="cancelled", detail=left),
        line("deadline_moved", by="operator-1", reason="be patient", detail=moved),
        line("deadline_moved", by="operator-1", reason="first", detail=moved | {"before": None}),
        line("redriven", worker="s.w", step_id="s.w:e1", by="operator-1", reason="mended"),
    ) == [
        "cancel_requested | operator-1 |  | without undo; too late",
        "cancel_requested | operator-2 |  | refused: the run has ended, completed; too",
        "cancelled |  |  | left as they are: s.w, s.v, and 3 more",
        "deadline_moved | operator-1 |  | to 2026-01-03 00:00:00, was 2026-01-02 00:00:00; be patient",
        "deadline_moved | operator-1 |  | to 2026-01-03 00:00:00, there was none before; first",
        "redriven | s.w |  | by operator-1: mended",
    ]


def test_marks_name_the_worker() -> None:
    assert told(
        line("stalled", reason="dead:s.w:e1"), line("unstalled", reason="unroutable:order.placed")
    ) == [
        "stalled |  |  | waits for somebody: the dead letter of s.w",
        "unstalled |  |  | no longer: no queue takes order.placed",
    ]


def test_what_nobody_has_foreseen_is_still_told() -> None:
    assert told(line("novelty", event="a.b", reason="because", detail={"size": 7})) == [
        "novelty |  | a.b | because; size=7"
    ]


def test_nothing_in_a_line_is_obeyed_by_a_terminal() -> None:
    entry = line("paused", by="an\x1b[2Jna", reason="\u202egnp.exe")
    assert "\x1b" not in (shown := history_line(entry, Background()))
    assert "\u202e" not in shown


def test_a_timer_says_what_it_becomes_and_when() -> None:
    detail = {"key": "confirm", "at": "2026-01-02T00:00:00+00:00"}
    [shown] = told(line("timer_set", worker="s.w", step_id="s.w:e1", event="order.late", detail=detail))
    assert shown == "timer_set | s.w |  | timer confirm: order.late, due 2026-01-02 00:00:00"
