"""The tree of a run: as real runs of an app look, and what a record may hold that no run should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from pavane.cli.run_view import run_tree
from pavane.client.run_handle import read_run
from pavane.core.record import Attempt, EventRow, Head, Letter, Record, StepRow, Timer, Work
from pavane.testing import Harness
from tests.unit.cli.orders_app import Placed, app, orders

T0 = 1_767_225_600_000


def event(id_: str, name: str) -> EventRow:
    return EventRow(id=id_, name=name, version=1, time=T0, payload=b"{}", producer="client")


def drawn(record: Record, width: int = 200, now: datetime | None = None) -> list[str]:
    out = StringIO()
    tree = run_tree(record, now or datetime.fromtimestamp(T0 / 1000, UTC), width=width)
    Console(file=out, width=width, markup=False).print(tree)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def record() -> Record:
    failed = Attempt(
        number=1, token=1, started_at=T0, ended_at=T0 + 10, host="a:1", outcome="failed", error="no \x1b[1m",
        error_type="Boom", delay=5000,
    )  # fmt: skip
    good = Attempt(number=2, token=2, started_at=T0, ended_at=T0 + 20, host="b:2", outcome="committed")
    return Record(
        head=Head(key="orders:1", workflow="orders", run_id="1", started_at=T0, updated_at=T0),
        events={"e1": event("e1", "drawn.placed"), "e2": event("e2", "shelf.reserved")},
        data={"item": b'"book"'},
        steps={
            "pay.charge:e2": StepRow(
                step="pay.charge:e2", worker="pay.charge", event="e2", state="dead", started_at=T0 + 30,
                error="no \x1b[1m", work=Work(attempts=[failed]),
            ),
            "stock.reserve:e1": StepRow(
                step="stock.reserve:e1", worker="stock.reserve", event="e1", state="undone", order=1,
                started_at=T0, ended_at=T0 + 1500, result="e2", emitted=["e2"],
                work=Work(attempts=[failed, good]), undo=Work(done=True, attempts=[good]),
            ),
        },
        timers={"t": Timer(key="t", at=T0, event=event("e3", "order.late"), set_by="")},
        letters={
            "l1": Letter(
                id="l1", kind="step", step="pay.charge:e2", worker="pay.charge", event="e2",
                reason="attempts", error="no", error_type="Boom", dead_at=T0,
            )
        },
    )  # fmt: skip


def test_what_every_field_of_a_record_looks_like() -> None:
    assert drawn(record()) == [
        "waiting orders:1  2026-01-01 00:00:00",
        "├── dead letter of pay.charge; `pavane dlq show l1` says why",
        "├── timer t: order.late at 2026-01-01 00:00:00  due",
        "├── undone stock.reserve  on drawn.placed → shelf.reserved  1.5 s",
        "│   ├── attempt 1 failed  a:1  10 ms  Boom: no \\x1b[1m  again after 5.0 s",
        "│   ├── attempt 2 committed  b:2  20 ms",
        "│   ├── undo done  20 ms  b:2",
        "│   └── dead pay.charge  on shelf.reserved",
        "│       ├── attempt 1 failed  a:1  10 ms  Boom: no \\x1b[1m  again after 5.0 s",
        "│       └── dead letter l1",
        '└── data {"item": "book"}',
    ]


def test_steps_that_claim_to_cause_each_other_are_still_shown() -> None:
    odd = record()
    odd.steps["stock.reserve:e1"].event = "e2"
    odd.steps["pay.charge:e2"].emitted = ["e2"]
    text = "\n".join(drawn(odd))
    assert "stock.reserve" in text
    assert "dead pay.charge" in text


def test_what_a_step_that_runs_says_of_itself() -> None:
    running = record()
    row = running.steps["pay.charge:e2"]
    row.state, row.error, row.progress, row.note = "running", "", 0.25, "asking\x1b"
    row.work.attempts = [Attempt(number=1, token=1, started_at=T0, host="a:1")]
    running.letters.clear()
    now = datetime.fromtimestamp(T0 / 1000, UTC) + timedelta(seconds=75)
    lines = drawn(running, now=now)
    assert "│   └── running pay.charge  on shelf.reserved  for 75.0 s  a:1" in lines
    assert "│       └── 25% asking\\x1b" in lines


# runs of an app


class Seen(Harness):
    """One whose records can be looked at."""

    async def record(self, run: str) -> Record:
        return await read_run(self._means, run)


@pytest.fixture
async def harness() -> AsyncIterator[Seen]:
    async with Seen(app, seed=1) as harness:
        yield harness


async def shown(harness: Seen, order: str, *, width: int = 80, pause: bool = False) -> list[str]:
    """What `runs show` says of an order once nothing more happens at once."""
    run = await harness.start(orders, Placed(order=order))
    if pause:
        await run.pause("the warehouse moves")
    await harness.until_idle()
    if order == "retried":
        await harness.advance(120)
    lines = drawn(await harness.record(run.run), width, harness.now)
    assert max(map(len, lines)) <= width
    return lines


async def test_a_run_that_completed_after_a_join_and_its_closing_step(harness: Seen) -> None:
    assert await shown(harness, "well", width=140) == [
        "completed orders:well  drawn.confirmed  0 ms  2026-01-01 00:00:00",
        "├── committed fraud.check  on drawn.placed → cheat.checked  0 ms  harness:1",
        "├── committed stock.reserve  on drawn.placed → shelf.reserved  0 ms  harness:1",
        "│   └── committed freight.rate  on shelf.reserved → haulage.rated  0 ms  harness:1",
        "│       └── committed payments.charge  on cheat.checked and haulage.rated → revenue.charged  0 ms  harness:1",
        "│           └── committed mail.confirm  on revenue.charged → drawn.confirmed  0 ms  harness:1",
        "│               └── committed mail.tell  on drawn.confirmed  closing  0 ms  harness:1",
        '└── data {"shelf": 7}',
    ]


async def test_a_join_stands_under_the_branch_that_came_last(harness: Seen) -> None:
    assert (await shown(harness, "retried"))[1:8] == [
        "├── committed fraud.check  on drawn.placed → cheat.checked  90.0 s",
        "│   ├── attempt 1 failed  0 ms  ConnectionError: the bureau\\nis",
        "│   │   [bold]closed[/bold]  again after 30.0 s",
        "│   ├── attempt 2 failed  0 ms  ConnectionError: the bureau\\nis",
        "│   │   [bold]closed[/bold]  again after 60.0 s",
        "│   ├── attempt 3 committed  0 ms",
        "│   └── committed payments.charge  on haulage.rated and cheat.checked →",
    ]


async def test_a_run_that_waits_for_a_join_and_a_retry(harness: Seen) -> None:
    assert await shown(harness, "joining") == [
        "running orders:joining  2026-01-01 00:00:00",
        "├── payments.charge waits for cheat.checked; haulage.rated is there",
        "├── retrying fraud.check  on drawn.placed",
        "│   ├── attempt 1 failed  0 ms  ConnectionError: the bureau\\nis",
        "│   │   [bold]closed[/bold]  again after 30.0 s",
        "│   └── next attempt 2026-01-01 00:00:30  in 30.0 s",
        "├── committed stock.reserve  on drawn.placed → shelf.reserved  0 ms",
        "│   └── committed freight.rate  on shelf.reserved → haulage.rated  0 ms",
        '└── data {"shelf": 7}',
    ]


async def test_a_run_that_was_compensated(harness: Seen) -> None:
    assert await shown(harness, "declined") == [
        "compensated orders:declined  drawn.declined  0 ms  2026-01-01 00:00:00",
        "├── committed fraud.check  on drawn.placed → cheat.checked  0 ms",
        "├── undone stock.reserve  on drawn.placed → shelf.reserved  0 ms",
        "│   ├── undo done  0 ms",
        "│   └── undone freight.rate  on shelf.reserved → haulage.rated  0 ms",
        "│       ├── undo done  0 ms",
        "│       └── committed payments.charge  on cheat.checked and haulage.rated →",
        "│           drawn.declined  0 ms",
        "│           └── committed mail.tell  on drawn.declined  closing  0 ms",
        '└── data {"shelf": 7}',
    ]


async def test_a_run_that_is_compensating(harness: Seen) -> None:
    lines = await shown(harness, "undoing", width=140)
    assert lines[0].startswith("compensating orders:undoing  drawn.declined  ")
    [undo] = [number for number, line in enumerate(lines) if "undo due" in line]
    assert lines[undo + 1].startswith(
        "│   │   ├── attempt 1 failed  harness:1  0 ms  ConnectionError: the warehouse"
    )
    assert lines[undo + 2].startswith("│   │   └── next attempt 2026-01-01 00:00:0")


async def test_a_run_whose_undo_is_stuck(harness: Seen) -> None:
    lines = await shown(harness, "stuck", width=140)
    assert lines[1] == (
        "├── stalled: the stuck undo of stock.reserve; `pavane dlq show "
        + lines[1].split("show ")[1][:16]
        + "` says why"
    )
    assert any(
        "attempt 1 rejected  harness:1  0 ms  Reject: the warehouse burnt down" in line for line in lines
    )
    assert sum("dead letter" in line for line in lines) == 1


async def test_a_stalled_run_says_how_to_learn_more_and_loses_no_word_of_the_error(harness: Seen) -> None:
    narrow, wide = await shown(harness, "dead"), await shown(harness, "dead", width=140)
    assert wide[1].startswith("├── stalled: the dead letter of payments.charge; `pavane dlq show ")
    for lines in (narrow, wide):
        words = " ".join(line.strip("│├└─ ") for line in lines)
        assert "Reject: the bank does not know us, and " + "says so at length " * 5 in words


async def test_a_paused_run_lists_what_it_holds_in_the_order_in_which_it_goes_on(harness: Seen) -> None:
    lines = await shown(harness, "paused", pause=True)
    assert lines[:2] == [
        "paused orders:paused  2026-01-01 00:00:00",
        "├── paused: `pavane runs resume orders:paused` lets it go on",
    ]
    assert sorted(line[4:] for line in lines[2:]) == [
        "held: fraud.check on drawn.placed",
        "held: stock.reserve on drawn.placed",
    ]


async def test_a_run_that_waits_for_a_timer(harness: Seen) -> None:
    assert (await shown(harness, "timer"))[:2] == [
        "waiting orders:timer  2026-01-01 00:00:00",
        "├── timer confirm: drawn.confirmed at 2026-01-01 01:00:00  in 1 h 0 min",
    ]
