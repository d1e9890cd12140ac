"""`queues`, `events unrouted` and `workflows stats` on the pair in memory: what people see."""

from __future__ import annotations

import asyncio
import json

import pytest

from pavane.cli import session
from pavane.core.calls import Emit, Mark
from pavane.core.record import EventRow
from pavane.ports.broker import Message, ToQueue
from tests.integration.cli_runner import APP, Pavane
from tests.unit.client.stage import Stage

HOSTILE = "\x1b[31mred\x1b[0m"


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = asyncio.run(Stage.build())
    monkeypatch.setattr(session, "connect", lambda settings, **_: (made.store, made.broker))
    return made


@pytest.fixture
def pavane() -> Pavane:
    return Pavane.on(PAVANE_NAMESPACE="t", PAVANE_APP=APP)


def test_every_queue_is_a_line(stage: Stage, pavane: Pavane) -> None:
    async def fill() -> None:
        await stage.broker.publish(Message(b"{}"), ToQueue(stage.names.undo_queue("stock", "reserve")))
        await stage.die(await stage.start("1"))

    asyncio.run(fill())
    done = pavane("queues")
    title, jobs, undo, intake = done.out.splitlines()
    assert title.split() == [
        "WORKER",
        "QUEUE",
        "READY",
        "UNACKED",
        "CONSUMERS",
        "DEAD",
        "LETTERS",
        "IN/S",
        "OUT/S",
    ]
    assert jobs.split() == ["stock.reserve", "t.q.stock.reserve", "1", "0", "1"]
    assert undo.split() == ["stock.reserve", "t.undo.stock.reserve", "1", "0"]
    assert intake.split() == ["stock", "t.intake.stock", "0", "0"]
    assert json.loads(pavane("queues", "--json").out)["items"][0]["dead_letters"] == 1


def test_what_is_not_seen_is_said_with_what_would_show_it(stage: Stage, pavane: Pavane) -> None:
    assert "are not seen: set PAVANE_MANAGEMENT_URL" in pavane("queues").err
    assert pavane("queues", "--json").err == ""


def test_a_hostile_name_does_not_reach_the_terminal(stage: Stage, pavane: Pavane) -> None:
    async def emit() -> str:
        run = await stage.start("1")
        row = EventRow(id="e", name=HOSTILE, version=1, time=0, payload=b"{}", producer=HOSTILE)
        await stage.store.emit(Emit(record=run, event=row))
        await stage.store.mark(Mark(record=run, rows=("e",), unrouted=("e",)))
        await stage.begin(run)
        return run

    run = asyncio.run(emit())
    shown = [
        pavane("events", "unrouted"),
        pavane("workflows", "stats"),
        pavane("workflows", "stats", "--run", run),
    ]
    assert [done.code for done in shown] == [0, 0, 0]
    assert "\\x1b[31mred" in shown[0].out
    assert not any("\x1b" in done.out + done.err for done in shown)
    assert pavane.json("events", "unrouted")["items"][0]["event"] == HOSTILE


@pytest.mark.parametrize(
    "words", [("emit",), ("queues",), ("events", "unrouted"), ("workflows", "stats")], ids=" ".join
)
def test_help_has_an_example(pavane: Pavane, words: tuple[str, ...]) -> None:
    done = pavane(*words, "--help")
    assert (done.code, f"Example: pavane {' '.join(words)}" in done.out) == (0, True)
