"""Histories and ledgers are written and read back whole, and real runs through the recorders are judged clean."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pavane import App
from pavane.adapters.memory.store import MemoryStore
from pavane.client.means import Means
from pavane.core.calls import Renew
from pavane.errors import StateLost, StateUnavailable
from pavane.runtime.clock import SystemClock
from tests.checker.collect import messages_of, records_of
from tests.checker.evidence import Evidence, Plan, workers_of
from tests.checker.history import Entry, History, read_folder
from tests.checker.judge import judge
from tests.checker.ledger import Effect, MemoryLedger, SqliteLedger
from tests.checker.operations import Operations
from tests.checker.parcels import WRITERS, Asked, parcels, post
from tests.checker.recording import RecordingStore, recorded_ports
from tests.checker.recording_harness import recorded
from tests.simulation.test_promises import endure, mend, order_fault, steer
from tests.simulation.trips import TripAsked, travel, trips

SEEDS = range(10)
RENEWAL = Renew(record="run:1", step="a.b:c", token=3, lease=1_000)


def test_histories_of_processes_are_merged_by_time(tmp_path: Path) -> None:
    times = iter((5, 1, 3, 2, 4, 6))
    for name in ("one", "two", "three"):
        history = History(name, now=lambda: next(times), file=tmp_path / f"{name}.jsonl")
        asked = history.note("invoke", "begin", record="run:1", detail={"begin_id": "x", "ended": [1]})
        history.note("ok", "begin", of=asked.seq, answer="Granted", token=7)
        history.close()
    found = read_folder(tmp_path)
    assert [(one.at, one.process) for one in found] == [
        (1, "one"), (2, "two"), (3, "two"), (4, "three"), (5, "one"), (6, "three")
    ]  # fmt: skip
    assert found[1] == Entry(
        at=2, process="two", seq=2, type="ok", op="begin", of=1, answer="Granted", token=7
    )


def test_a_line_that_was_torn_by_a_death_is_no_entry(tmp_path: Path) -> None:
    history = History("one", file=tmp_path / "one.jsonl")
    history.note("ok", "ack")
    history.close()
    with (tmp_path / "one.jsonl").open("a") as file:
        file.write('{"at": 5, "proce')
    assert [one.op for one in read_folder(tmp_path)] == ["ack"]


@pytest.mark.parametrize(
    ("error", "told"), [(StateUnavailable("away"), "info"), (StateLost("gone"), "fail"), (None, "ok")]
)
async def test_an_outcome_that_nobody_knows_is_said_to_be_unknown(error: Exception | None, told: str) -> None:
    class Sometimes(MemoryStore):
        async def renew(self, call: Renew) -> Any:
            if error is not None:
                raise error
            return await super().renew(call)

    history = History("one")
    with suppress(StateUnavailable, StateLost):
        await RecordingStore(Sometimes(SystemClock()), history).renew(RENEWAL)
    asked, ended = history.entries
    assert (asked.type, asked.op, asked.job, asked.token) == (
        "invoke",
        "renew",
        ("run:1", "a.b:c", "step"),
        3,
    )
    assert (ended.type, ended.of) == (told, asked.seq)


async def test_a_call_that_is_cancelled_may_have_arrived() -> None:
    class Never(MemoryStore):
        async def renew(self, call: Renew) -> Any:
            await asyncio.Event().wait()

    history = History("one")
    task = asyncio.create_task(RecordingStore(Never(SystemClock()), history).renew(RENEWAL))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert [entry.type for entry in history.entries] == ["invoke", "info"]
    [operation] = Operations(history.entries).of("renew")
    assert operation.over == 2, "it may still happen"


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
def test_a_ledger_tells_what_has_ended_and_what_has_not(kept: str, tmp_path: Path) -> None:
    ledger = MemoryLedger() if kept == "memory" else SqliteLedger(tmp_path / "ledger.db")
    effect = Effect(
        record="run:1", worker="a.b", step="a.b:c", kind="undo", key="k", attempt=2, token=9, payload="p"
    )
    first, second = ledger.begin(effect), ledger.begin(replace(effect, token=10))
    ledger.end(second)
    begun, done = ledger.effects()
    assert first != second
    assert begun == replace(effect, started=begun.started)
    assert done.ended >= done.started >= begun.started > 0
    if isinstance(ledger, SqliteLedger):
        ledger.close()
        other = SqliteLedger(tmp_path / "ledger.db")
        assert other.effects() == (begun, done), "another process reads it"
        other.close()


async def gathered(history: History, ledger: MemoryLedger, app: App, means: Means) -> Evidence:
    """What is known now."""
    return Evidence(
        history=history.entries,
        records=await records_of(means.store, history.entries),
        effects=ledger.effects(),
        queues=await messages_of(means.broker, app.catalog(means.settings).topology()),
        workers=workers_of(app.workers, WRITERS),
        plan=Plan(outcomes=frozenset({"cancelled"})),
        now=await means.store.now(),
    )


async def test_an_app_in_memory_is_recorded_whole() -> None:
    history = History("embedded")
    ledger = MemoryLedger()
    app = post(ledger)
    with recorded_ports(history):
        async with app.running(embedded=True) as client:
            runs = [await client.start(parcels, Asked(parcel=str(number))) for number in range(3)]
            await asyncio.gather(*(run.cancel("by hand") for run in runs))
            await asyncio.gather(*(run.wait(timeout=10) for run in runs))
            means = client._means
            assert means is not None
            async with asyncio.timeout(10):
                # The runs have ended; what they published is still being marked, and their last steps acknowledged.
                while not (verdict := judge(await gathered(history, ledger, app, means))).clean:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    assert verdict.counts["runs cancelled"] == 3
    assert {entry.op for entry in history.entries} >= {
        "start",
        "publish",
        "deliver",
        "begin",
        "handler",
        "ack",
    }


async def test_runs_to_which_everything_happens_are_judged_clean() -> None:
    """The trips of tests/simulation, whose faults follow from a seed, judged by this checker as well."""
    for seed in SEEDS:
        chance = Random(seed)
        async with recorded(travel().app, seed) as story:
            harness = story.harness
            for number in range(chance.randint(1, 4)):
                for _ in range(chance.randint(0, 4)):
                    order_fault(harness, chance)
                await harness.start(trips, TripAsked(trip=str(number), refused=chance.random() < 0.3))
                await harness.advance(chance.choice((0, 0.3, 5, 40, 70)))
                await steer(harness, chance)
                await endure(harness, chance)
            await mend(harness)
            verdict = judge(await story.evidence())
        assert verdict.clean, f"seed {seed}: {verdict}"
