"""Contexts collect intentions in memory, and refuse what cannot be meant."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pavane import Context, Event, LimitExceeded, NotInRun, UndeclaredEvent, UndoContext, UsageError
from pavane.model.context import JobInfo
from pavane.model.data import Data, encode_values
from pavane.model.intentions import Intentions
from pavane.model.values import EventInfo

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Told(Event, name="test_context.told"):
    n: int = 0


class Other(Event, name="test_context.other"): ...


class Nameless(Event): ...


def job(workflow: str | None = "orders") -> JobInfo:
    return JobInfo(
        run_id="7",
        workflow=workflow,
        worker="shop.sell",
        event=EventInfo(id="e-1", name="test_context.told", version=1, time=NOW),
        attempt=2,
        idempotency_key="key",
        fencing_token=9,
        deadline=NOW,
    )


def context(
    workflow: str | None = "orders", snapshot: dict[str, bytes] | None = None, **limits: Any
) -> tuple[Context, Intentions]:
    intentions = Intentions(declared=frozenset(("test_context.told",)), **limits)
    return Context(job(workflow), None, intentions=intentions, snapshot=snapshot), intentions


def test_a_context_tells_about_its_job() -> None:
    ctx, _ = context()
    assert (ctx.run_id, ctx.workflow, ctx.run, ctx.worker) == ("7", "orders", "orders:7", "shop.sell")
    assert (ctx.attempt, ctx.idempotency_key, ctx.fencing_token, ctx.deadline) == (2, "key", 9, NOW)
    assert (ctx.event.id, ctx.resources, ctx.state, ctx.stopping) == ("e-1", None, None, None)


@pytest.mark.parametrize("name", ["attempt", "run", "resources", "data", "stopping", "deadline"])
def test_it_cannot_be_written_to(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(context()[0], name, 1)


def test_the_logger_names_run_worker_and_attempt(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        context()[0].log.info("sold")
    record: Any = caplog.records[0]
    assert (record.run, record.worker, record.attempt) == ("orders:7", "shop.sell", 2)


def test_events_are_collected_in_order() -> None:
    ctx, intentions = context()
    ctx.emit(Told(n=1))
    ctx.emit(Told(n=2))
    assert intentions.emitted == [Told(n=1), Told(n=2)]


@pytest.mark.parametrize("event", [Other(), Other])
def test_an_undeclared_event_is_refused_wherever_it_would_leave(event: Any) -> None:
    ctx, intentions = context()
    expected = UndeclaredEvent if isinstance(event, Event) else UsageError
    with pytest.raises(expected):
        ctx.emit(event)
    with pytest.raises(expected):
        ctx.after(1, event)
    assert (intentions.emitted, intentions.timers) == ([], [])


@pytest.mark.parametrize("event", [Nameless(), "test_context.told", None])
def test_what_is_no_event_with_a_name_is_refused(event: Any) -> None:
    with pytest.raises(UsageError, match="no event with a name"):
        Intentions().emit(event)


def test_a_step_emits_no_more_than_the_limit() -> None:
    ctx, intentions = context(max_emits=2)
    ctx.emit(Told())
    ctx.after(1, Told(), key="a")
    ctx.after(2, Told(), key="a")  # replaces, so there is still room
    for refused in (lambda: ctx.emit(Told()), lambda: ctx.after(1, Told())):
        with pytest.raises(LimitExceeded):
            refused()
    assert (len(intentions.emitted), len(intentions.timers)) == (1, 1)


def test_timers_are_relative_or_at_a_time() -> None:
    ctx, intentions = context()
    ctx.after(1.5, Told())
    ctx.after(timedelta(days=1), Told(), key="daily")
    ctx.after(NOW + timedelta(microseconds=1), Told())
    first, second, third = intentions.timers
    assert (first.key, first.delay_ms, first.at_ms) == (None, 1500, None)
    assert (second.key, second.delay_ms) == ("daily", 86_400_000)
    assert (third.delay_ms, third.at_ms) == (None, int(NOW.timestamp() * 1000) + 1)


def test_the_last_word_about_a_key_counts() -> None:
    ctx, intentions = context()
    ctx.after(1, Told(n=1), key="a")
    ctx.after(2, Told(n=2), key="a")
    assert [timer.event for timer in intentions.timers] == [Told(n=2)]
    ctx.cancel_timer("a")
    ctx.cancel_timer("a")
    assert (intentions.timers, intentions.cancelled) == ([], ["a"])
    ctx.after(3, Told(n=3), key="a")
    assert (len(intentions.timers), intentions.cancelled) == (1, [])


@pytest.mark.parametrize("when", [-1, math.nan, math.inf, timedelta(-1), "1", True, datetime(2026, 1, 1)])
def test_a_time_that_makes_no_sense_is_refused(when: Any) -> None:
    with pytest.raises(UsageError, match="after"):
        context()[0].after(when, Told())


@pytest.mark.parametrize("key", ["", "a b", "{a}", "x" * 129])
def test_a_bad_timer_key_is_refused(key: str) -> None:
    ctx, _ = context()
    with pytest.raises(UsageError, match="timer key"):
        ctx.after(1, Told(), key=key)
    with pytest.raises(UsageError, match="timer key"):
        ctx.cancel_timer(key)


def test_outside_a_workflow_only_runs_are_missed() -> None:
    ctx, intentions = context(workflow=None)
    assert (ctx.run, ctx.workflow, ctx.run_id) == (None, None, "7")
    ctx.emit(Told())
    ctx.after(1, Told())
    for refused in (
        lambda: ctx.data,
        lambda: ctx.after(1, Told(), key="a"),
        lambda: ctx.cancel_timer("a"),
    ):
        with pytest.raises(NotInRun):
            refused()
    assert (len(intentions.emitted), len(intentions.timers)) == (1, 1)


def test_after_the_handler_has_returned_nothing_can_be_asked_for() -> None:
    ctx, intentions = context()
    data = ctx.data
    intentions.close()
    for refused in (
        lambda: ctx.emit(Told()),
        lambda: ctx.after(1, Told()),
        lambda: ctx.cancel_timer("a"),
        lambda: data.set(a=1),
    ):
        with pytest.raises(UsageError, match="has returned"):
            refused()


async def test_a_heartbeat_is_reported_within_its_bounds() -> None:
    reports: list[tuple[float | None, str | None]] = []

    async def report(progress: float | None, note: str | None) -> None:
        reports.append((progress, note))

    ctx: Context = Context(job(), None, intentions=Intentions(), report=report, stopping=lambda: "shutdown")
    await ctx.heartbeat(0.5, "half")
    await ctx.heartbeat()
    for progress, note in ((1.5, None), (-0.1, None), (math.nan, None), (None, "x" * 501)):
        with pytest.raises(UsageError, match="heartbeat"):
            await ctx.heartbeat(progress, note)
    assert reports == [(0.5, "half"), (None, None)]
    assert ctx.stopping == "shutdown"


def test_an_undo_reads_what_the_run_remembers_and_changes_nothing() -> None:
    undo: UndoContext = UndoContext(
        job(), None, outcome="unknown", reason="cancelled", snapshot=encode_values({"a": 1})
    )
    assert (undo.outcome, undo.reason, dict(undo.data)) == ("unknown", "cancelled", {"a": 1})
    with pytest.raises(UsageError, match="an undo can read"):
        undo.data.set(a=2)
    assert not hasattr(undo, "emit")


# Data ------------------------------------------------------------------------------------------------


def test_data_is_the_snapshot_with_the_handlers_own_changes() -> None:
    ctx, intentions = context(snapshot=encode_values({"kept": 1, "changed": "old"}))
    ctx.data.set(changed=["new", None], added={"deep": [1.5, True]})
    assert dict(ctx.data) == {"kept": 1, "changed": ["new", None], "added": {"deep": [1.5, True]}}
    assert len(ctx.data) == 3
    assert intentions.patch == {"changed": b'["new",null]', "added": b'{"deep":[1.5,true]}'}
    with pytest.raises(KeyError):
        ctx.data["missing"]


def test_changing_what_was_read_or_set_changes_nothing() -> None:
    items = [1]
    data = Data({}, {})
    data.set(items=items)
    items.append(2)
    data["items"].append(3)
    assert data["items"] == [1]


@pytest.mark.parametrize("value", [object(), math.nan, math.inf, {1, 2}, b"bytes", NOW])
def test_what_is_not_json_is_refused_and_nothing_of_the_call_is_taken(value: Any) -> None:
    data = Data({}, {})
    with pytest.raises(UsageError, match="bad is not JSON"):
        data.set(good=1, bad=value)
    assert dict(data) == {}


def test_numbers_and_text_keep_every_digit_and_letter() -> None:
    data = Data({}, {})
    data.set(big=2**80, text="Żółć\u2028", small=0.1)
    assert dict(data) == {"big": 2**80, "text": "Żółć\u2028", "small": 0.1}
