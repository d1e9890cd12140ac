"""Contexts to call a handler with directly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pavane import Context, UndoContext, UsageError
from pavane.testing import FakeContext, FakeUndoContext
from tests.unit.testing.shop import Charged, Placed, Reminded, Reserved, Stock


async def reserve(ctx: Context[Stock], event: Placed) -> Reserved | None:
    if event.amount > 100:
        ctx.after(60, Reminded(order=event.order), key="look")
        ctx.after(timedelta(hours=1), Reminded(order=event.order))
        ctx.emit(Charged(order=ctx.resources.name))
        return None
    ctx.data.set(seen=[*ctx.data.get("seen", []), event.order], attempt=ctx.attempt)
    await ctx.heartbeat(0.5, "half")
    return Reserved(order=ctx.run_id, amount=event.amount)


async def give_back(ctx: UndoContext[Stock], event: Placed, done: Reserved | None) -> str:
    return f"{ctx.resources.name}/{ctx.outcome}/{ctx.reason}/{ctx.data['seen']}/{ctx.idempotency_key}"


async def test_a_handler_is_called_with_a_fake() -> None:
    ctx = FakeContext(Stock("van"), run_id="7", attempt=2, data={"seen": ["0"]})
    assert await reserve(ctx, Placed(order="1")) == Reserved(order="7", amount=10)
    assert dict(ctx.data) == {"seen": ["0", "1"], "attempt": 2}
    assert (ctx.run, ctx.worker, ctx.stopping) == ("fake:7", "fake.worker", None)
    assert ctx.deadline > datetime.now(UTC)
    assert (ctx.emitted, ctx.timers, ctx.fanned_out, ctx.attributes, ctx.started_runs) == ([], [], [], {}, [])


async def test_it_keeps_what_was_asked_for() -> None:
    ctx = FakeContext(Stock("van"))
    assert await reserve(ctx, Placed(order="1", amount=500)) is None
    assert ctx.emitted == [Charged(order="van")]
    reminder = Reminded(order="1")
    assert ctx.timers == [(60, reminder, "look"), (timedelta(hours=1), reminder, None)]
    ctx.after(5, reminder, key="look")
    assert [timer.when for timer in ctx.timers] == [timedelta(hours=1), 5]
    ctx.cancel_timer("look")
    assert [timer.key for timer in ctx.timers] == [None]


async def test_it_refuses_what_a_real_one_refuses() -> None:
    ctx = FakeContext()
    assert ctx.resources is None
    with pytest.raises(UsageError, match="fan-out"):
        ctx.fan_out([])  # type: ignore[operator]
    with pytest.raises(UsageError, match="after"):
        ctx.after(-1, Reminded(order="1"))
    assert ctx.timers == []
    with pytest.raises(UsageError, match="not JSON"):
        FakeContext(data={"stock": Stock()})  # type: ignore[dict-item]


async def test_an_undo_is_called_with_a_fake() -> None:
    ctx = FakeUndoContext(Stock("van"), run_id="7", data={"seen": 1}, outcome="unknown", reason="deadline")
    assert await give_back(ctx, Placed(order="1"), None) == "van/unknown/deadline/1/7-fake.worker/undo"
    assert (FakeUndoContext().outcome, FakeUndoContext().reason) == ("committed", "failed")
    assert ctx.idempotency_key != FakeContext(run_id="7").idempotency_key
