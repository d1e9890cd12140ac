"""A world in which pavane is broken breaks a promise, and says where: seed, commit, run, and how to see it again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pavane.core import compensation
from pavane.core.calls import Mark
from pavane.runtime import copies, job, outbox, relay
from tests.simulation.world import trace
from tests.simulation.world.shrink import shrink
from tests.simulation.world.world import simulate

Break = Callable[[pytest.MonkeyPatch], None]


def lose_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(*arguments: Any) -> None: ...

    monkeypatch.setattr(copies, "send_retry", lose)


def let_the_relay_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tick(self: Any, shard: int) -> None:
        self._due.pop(shard)

    monkeypatch.setattr(relay.Relay, "_tick", tick)


def forget_late_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    due = compensation.needs_undo
    monkeypatch.setattr(compensation, "needs_undo", lambda record, row: due(record, row) and not row.late)


def acknowledge_first(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = job.Jobs._commit

    async def acknowledged(self: Any, subject: Any, *rest: Any) -> Any:
        subject.delivery.ack()
        return await commit(self, subject, *rest)

    monkeypatch.setattr(job.Jobs, "_commit", acknowledged)


def mark_first(monkeypatch: pytest.MonkeyPatch) -> None:
    publish = outbox.Outbox.publish

    async def marked(self: Any, record: str, rows: Any, **named: Any) -> None:
        if rows:
            self.mark(Mark(record=record, rows=tuple(row.row for row in rows)))
        await publish(self, record, rows, **named)

    monkeypatch.setattr(outbox.Outbox, "publish", marked)


@pytest.mark.parametrize(
    "breaks", [lose_retries, let_the_relay_sleep, forget_late_steps, acknowledge_first, mark_first]
)
def test_a_broken_pavane_is_seen_in_few_worlds(breaks: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch)
    assert any(simulate(seed).violations for seed in range(1, 60))


def test_a_failure_gets_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledge_first(monkeypatch)
    changed = shrink(1)
    smaller, whole = simulate(1, changed), simulate(1)
    assert smaller.violations
    assert smaller.runs < whole.runs
    assert changed.without
    assert not smaller.faults.keys() & changed.without


def test_a_failure_tells_of_its_run_and_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledge_first(monkeypatch)
    told = trace.failure(1).splitlines()
    run = next(line.split()[2].rstrip(":") for line in told if line.startswith("VIOLATED"))
    assert any(run in line and " commit " in line for line in told)
    outcome = simulate(1, traced=True)
    own = trace.lines_of(outcome, about=run)
    assert told[: len(own)] == own
    assert len(own) < len(trace.lines_of(outcome)) / 2, "other runs are left out"
    assert any(re.fullmatch(r"seed 1 on [0-9a-f]{12}\+?: \d+ steps, \d+ runs", line) for line in told)
    assert told[-1].startswith("again: SEED=1 make simulate")
