"""The tree of a run."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from pavane.cli.run_view import run_tree
from pavane.client.run_document import run_document
from pavane.core.record import Attempt, EventRow, Head, Letter, Record, StepRow, Timer, Work

T0 = 1_767_225_600_000


def event(id_: str, name: str) -> EventRow:
    return EventRow(id=id_, name=name, version=1, time=T0, payload=b"{}", producer="client")


def drawn(record: Record) -> str:
    out = StringIO()
    Console(file=out, width=200, markup=False).print(run_tree(run_document(record)))
    return out.getvalue()


def record() -> Record:
    failed = Attempt(
        number=1, token=1, started_at=T0, ended_at=T0 + 10, host="a:1", outcome="failed", error="no \x1b[1m",
        error_type="Boom", delay=5000,
    )  # fmt: skip
    good = Attempt(number=2, token=2, started_at=T0, ended_at=T0 + 20, host="b:2", outcome="committed")
    return Record(
        head=Head(key="orders:1", workflow="orders", run_id="1", started_at=T0, updated_at=T0),
        events={"e1": event("e1", "order.placed"), "e2": event("e2", "stock.reserved")},
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


def test_each_step_stands_under_the_one_whose_event_it_handles() -> None:
    lines = drawn(record()).splitlines()
    assert lines == [
        "waiting orders:1  2026-01-01 00:00:00",
        "├── waits for dead_letter l1  pay.charge",
        "├── timer t: order.late at 2026-01-01 00:00:00",
        "├── undone stock.reserve  on order.placed → stock.reserved  1.5 s",
        "│   ├── attempt 1 failed  a:1  10 ms  Boom: no \\x1b[1m  again after 5.0 s",
        "│   ├── attempt 2 committed  b:2  20 ms",
        "│   ├── undone  by its undo (outcome committed)",
        "│   │   └── attempt 2 committed  b:2  20 ms",
        "│   └── dead pay.charge  on stock.reserved",
        "│       └── attempt 1 failed  a:1  10 ms  Boom: no \\x1b[1m  again after 5.0 s",
        '└── data {"item": "book"}',
    ]


def test_steps_that_claim_to_cause_each_other_are_still_shown() -> None:
    odd = record()
    odd.steps["stock.reserve:e1"].event = "e2"
    odd.steps["pay.charge:e2"].emitted = ["e2"]
    text = drawn(odd)
    assert "stock.reserve" in text
    assert "dead pay.charge" in text
