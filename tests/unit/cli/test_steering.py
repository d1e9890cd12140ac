"""The commands that steer runs, on the pair in memory: what they print, and their exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from pavane.cli import session
from pavane.cli.options import read_ahead
from pavane.core.answers import Held
from pavane.core.calls import Hold, Mark
from pavane.core.record import Record
from pavane.model.views import BulkReport, RunStatus
from pavane.ports.broker import ToDeadLetters, ToQueue
from pavane.ports.store import Registration
from tests.integration.cli_runner import APP, Pavane
from tests.unit.client.stage import WORKER, Placed, Stage

RESERVED = '{"order":"1","item":"book"}'


@dataclass
class Desk:
    """The program in front of a namespace in memory, whose workers the tests play."""

    pavane: Pavane
    stage: Stage

    def start(self, *orders: str) -> list[str]:
        async def start() -> list[str]:
            return [await self.stage.start(order) for order in orders]

        return asyncio.run(start())

    def die(self, run: str) -> str:
        """Let the run's first step die; the step."""

        async def die() -> None:
            await self.stage.broker.open()  # a command that was run before has closed it
            await self.stage.die(run)

        asyncio.run(die())
        [step] = self.record(run).steps
        return step

    def queued(self, queue: str) -> list[bytes]:
        """The bodies in a queue; they stay there."""

        async def look() -> list[bytes]:
            broker = self.stage.broker
            await broker.open()
            messages = await self.stage.empty(queue)
            for message in messages:
                kind = ToDeadLetters if queue == self.stage.dlq else ToQueue
                await broker.publish(message, kind(queue))
            return [message.body for message in messages]

        return asyncio.run(look())

    def record(self, run: str) -> Record:
        return asyncio.run(self.stage.record(run))

    def phases(self, *runs: str) -> list[str]:
        return [self.record(run).head.phase for run in runs]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    stage = asyncio.run(Stage.build())
    monkeypatch.setattr(session, "connect", lambda settings, **_: (stage.store, stage.broker))
    registration = Registration(
        service="stock",
        subscriptions={WORKER: (Placed.event_name,)},
        workflows={},
        emits={WORKER: ("cli.reserved",)},
    )
    asyncio.run(stage.store.register(registration))
    return Desk(Pavane.on(PAVANE_NAMESPACE="t", PAVANE_ACTOR="night shift", PAVANE_APP=APP), stage)


# one run, many runs


def test_one_run_is_cancelled_by_its_name(desk: Desk) -> None:
    [run] = desk.start("1")
    done = desk.pavane(
        "runs", "cancel", run, "--yes", "--reason", "the customer gave up", "--by", "operator-1", "--json"
    )
    assert (done.code, done.document) == (0, {"matched": 1, "done": 1, "dry_run": False, "skipped": []})
    assert done.document.keys() == BulkReport.model_fields.keys()
    assert desk.phases(run) == ["cancelled"]
    [line] = [line for line in desk.record(run).history if line.kind == "cancel_requested"]
    assert (line.by, line.reason) == ("operator-1", "the customer gave up")
    assert desk.pavane("runs", "cancel", run, "--yes").out == "1 of 1 cancelled\n"


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_single_run_that_is_refused_is_code_5_and_says_why(desk: Desk, dry_run: list[str]) -> None:
    [run] = desk.start("1")
    desk.pavane.json("runs", "cancel", run, "--yes")
    done = desk.pavane("runs", "pause", run, "--yes", *dry_run, "--json")
    assert (done.code, done.error["code"]) == (5, "action_refused")
    assert done.error["message"] == "orders:1 cannot be paused: the run has ended, cancelled."
    assert "runs history orders:1" in done.error["remedy"]
    assert done.document["skipped"] == [{"id": run, "reason": "run_cancelled"}]
    human = desk.pavane("runs", "pause", run, "--yes", *dry_run)
    assert (human.code, human.out) == (5, "")
    assert "Error: orders:1 cannot be paused" in human.err


def test_a_single_run_that_is_not_there_is_code_3(desk: Desk) -> None:
    for verb in ("cancel", "pause", "resume", "compensate"):
        done = desk.pavane("runs", verb, "orders:nothing", "--yes", "--json")
        assert (done.code, done.error["code"]) == (3, "run_not_found")
        assert done.document["done"] == 0


def test_of_many_runs_the_refused_ones_are_code_1_and_keep_none_of_the_others(desk: Desk) -> None:
    first, second = desk.start("1", "2")
    desk.pavane.json("runs", "cancel", first, "--yes")
    report = desk.pavane.json("runs", "compensate", first, second, "orders:nothing", second, "--yes", code=1)
    assert (report["matched"], report["done"]) == (3, 1)
    assert report["skipped"] == [
        {"id": first, "reason": "run_cancelled"},
        {"id": "orders:nothing", "reason": "there is no such run"},
    ]
    assert desk.phases(first, second) == ["cancelled", "failed"]
    human = desk.pavane("runs", "compensate", first, second, "--yes")
    assert human.out == "1 of 2 compensated\n  orders:1: the run has ended, cancelled\n"


def test_a_filter_finds_live_runs_unless_a_status_is_given(desk: Desk) -> None:
    ended, dead, young = desk.start("1", "2", "3")
    desk.pavane.json("runs", "cancel", ended, "--yes")
    desk.die(dead)
    before = [desk.record(run) for run in (ended, dead, young)]
    foreseen = desk.pavane.json("runs", "pause", "--workflow", "orders", "--dry-run")
    assert foreseen == {"matched": 2, "done": 2, "dry_run": True, "skipped": []}
    assert desk.pavane("runs", "pause", "--workflow", "orders", "--dry-run").out == "2 of 2 would be paused\n"
    assert [desk.record(run) for run in (ended, dead, young)] == before

    report = desk.pavane.json("runs", "pause", "--status", "stalled,cancelled", "--yes", code=1)
    assert (report["matched"], report["done"], report["skipped"][0]["id"]) == (2, 1, ended)
    assert desk.pavane.json("runs", "resume", "--status", "paused", "--yes")["done"] == 1
    assert desk.pavane.json("runs", "compensate", "--waiting-for", "dead_letter", "--yes")["done"] == 1
    assert desk.phases(dead, young) == ["failed", "running"]
    later = desk.pavane.json("runs", "cancel", "--since", "2100-01-01", "--yes")
    assert (later["matched"], desk.phases(young)) == (0, ["running"])


def test_a_cancel_without_undo_says_so(desk: Desk) -> None:
    [run] = desk.start("1")
    desk.pavane.json("runs", "cancel", run, "--no-undo", "--yes")
    [line] = desk.pavane.json("runs", "history", run)["items"][-1:]
    assert (line["kind"], line["detail"]) == ("cancelled", {"left": [], "left_count": 0})


def test_what_is_released_is_published_and_marked_before_the_program_ends(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_all = desk.stage.store.mark_all

    async def as_slow_as_a_server(calls: Sequence[Mark]) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        await mark_all(calls)

    [run] = desk.start("1")
    monkeypatch.setattr(desk.stage.store, "mark_all", as_slow_as_a_server)
    desk.pavane.json("runs", "pause", run, "--yes")

    async def come() -> None:
        """What a worker does with a job of a paused run."""
        record = await desk.stage.record(run)
        event = record.events[record.head.start_event]
        call = Hold(record=run, step=f"{WORKER}:{event.id}", worker=WORKER, event=event)
        assert await desk.stage.store.hold(call) == Held()
        await desk.stage.broker.open()
        await desk.stage.empty(desk.stage.queue)

    asyncio.run(come())
    desk.pavane.json("runs", "resume", run, "--yes")
    assert desk.record(run).outbox == {}
    assert desk.queued(desk.stage.queue) == [b'{"order":"1"}']


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cancel", "--yes"], "Which runs"),
        (["pause", "orders:1", "--status", "running", "--yes"], "not both"),
        (["resume", "no run", "--yes"], "no run"),
        (["cancel", "--status", "gone", "--yes"], "gone"),
        (["cancel", "orders:1"], "nobody to ask"),
        (["deadline", "orders:1", "2h"], "nobody to ask"),
        (["deadline", "orders:1", "soon", "--yes"], "is no time"),
        (["skip", "orders:1", f"{WORKER}:1", "--yes"], "--event"),
        (["skip", "orders:1", "stock.nothing:1", "--event", "a.b", "--yes"], "no worker 'stock.nothing'"),
        (["skip", "orders:1", f"{WORKER}:1", "--event", "cli.confirmed", "--yes"], "does not emit 'cli.confirmed'"),
        (["skip", "orders:1", f"{WORKER}:1", "--event", "cli.reserved", "--yes"], "order: Field required"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_code_2(desk: Desk, words: list[str], says: str) -> None:
    done = desk.pavane("runs", *words, "--json")
    assert (done.code, done.out) == (2, "")
    assert says in done.error["message"]
    assert done.error["remedy"]


# skip and deadline


@pytest.mark.parametrize("how", ["words", "file", "stdin"])
def test_a_dead_step_is_skipped(desk: Desk, how: str, tmp_path: Path) -> None:
    [run] = desk.start("1")
    step = desk.die(run)
    (tmp_path / "reserved.json").write_text(RESERVED)
    payload = {"words": RESERVED, "file": f"@{tmp_path}/reserved.json", "stdin": "-"}[how]
    words = ["runs", "skip", run, step, "--event", "cli.reserved", "--payload", payload, "--yes"]
    done = desk.pavane(*words, "--reason", "counted by hand", "--json", input=RESERVED)
    assert done.code == 0, done
    assert done.document.keys() == RunStatus.model_fields.keys()
    assert (done.document["status"], done.document["steps"]) == ("running", {"skipped": 1})
    [line] = [line for line in desk.record(run).history if line.kind == "step_skipped"]
    assert (line.by, line.reason) == ("night shift", "counted by hand")
    assert desk.pavane.json("dlq", "ls")["items"] == []
    assert desk.pavane(*words, input=RESERVED).out == "running orders:1\n"


def test_the_message_of_a_skipped_steps_letter_goes_with_the_next_round(desk: Desk) -> None:
    [run] = desk.start("1")
    step = desk.die(run)
    desk.pavane.json("runs", "skip", run, step, "--event", "cli.reserved", "--payload", RESERVED, "--yes")
    assert len(desk.queued(desk.stage.dlq)) == 1
    report = desk.pavane.json("dlq", "redrive", "--all", "--yes")
    assert (report["matched"], report["done"], report["skipped"]) == (0, 0, [])
    assert desk.queued(desk.stage.dlq) == []
    assert desk.queued(desk.stage.queue) == [b'{"order":"1"}']  # of the start, no second one


def test_a_step_that_cannot_be_skipped_is_code_5(desk: Desk) -> None:
    [run] = desk.start("1")
    words = ["--event", "cli.reserved", "--payload", RESERVED, "--yes", "--json"]
    done = desk.pavane("runs", "skip", run, f"{WORKER}:nothing", *words)
    assert (done.code, done.out, done.error["code"]) == (5, "", "action_refused")
    assert desk.pavane("runs", "skip", "orders:2", f"{WORKER}:nothing", *words).code == 3


def test_a_deadline_is_moved_to_a_time_or_by_one(desk: Desk) -> None:
    [run] = desk.start("1")
    status = desk.pavane.json("runs", "deadline", run, "2100-01-01T00:00Z", "--yes", "--reason", "no hurry")
    assert status.keys() == RunStatus.model_fields.keys()
    assert status["deadline_at"] == "2100-01-01T00:00:00Z"
    refused = desk.pavane("runs", "deadline", run, "2020-01-01", "--yes", "--json")
    assert (refused.code, refused.error["code"]) == (5, "action_refused")
    [line] = [
        line for line in desk.pavane.json("runs", "history", run)["items"] if "deadline" in line["kind"]
    ]
    assert (line["kind"], line["reason"]) == ("deadline_moved", "no hurry")
    assert line["detail"] == {"at": "2100-01-01T00:00:00+00:00", "before": None}


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5d", 129_600)])
def test_a_time_may_be_so_long_from_now(text: str, seconds: float) -> None:
    before = datetime.now(UTC)
    assert before <= read_ahead(text) - timedelta(seconds=seconds) <= datetime.now(UTC)
    with pytest.raises(typer.BadParameter, match="from now"):
        read_ahead("soon")


# what is seen


def test_a_paused_run_shows_what_is_held_and_how_it_goes_on(desk: Desk) -> None:
    [run] = desk.start("1")
    assert "paused" not in desk.pavane("runs", "show", run).out
    desk.pavane.json("runs", "pause", run, "--yes")
    assert "`pavane runs resume orders:1` lets it go on" in desk.pavane("runs", "show", run).out
    assert "paused" in desk.pavane("runs", "ls").out
    assert desk.pavane.json("runs", "ls", "--status", "paused")["items"][0]["paused"] is True


def test_an_answered_letter_asks_nobody_to_redrive_it(desk: Desk) -> None:
    [run] = desk.start("1")
    asyncio.run(desk.stage.die(run, policy="compensate"))
    listed = desk.pavane("dlq", "ls").out
    assert "rejected (answered, nothing to do)" in listed
    [letter] = desk.pavane.json("dlq", "ls")["items"]
    refused = desk.pavane("dlq", "redrive", letter["id"], "--yes")
    assert refused.code == 1
    assert f"{letter['id']}: on_exhausted has answered its dead letter" in refused.out
    forced = desk.pavane("dlq", "redrive", letter["id"], "--force", "--yes")
    assert f"{letter['id']}: the run has ended, failed" in forced.out


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "compensate", "skip", "deadline"])
def test_every_command_gives_an_example(desk: Desk, verb: str) -> None:
    done = desk.pavane("runs", verb, "--help")
    assert done.code == 0
    assert f"Example: pavane runs {verb} " in " ".join(done.out.split())
