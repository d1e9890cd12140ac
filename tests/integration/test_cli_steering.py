"""The commands that steer runs, on real servers, with workers running beside them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pavane.model.views import BulkReport, RunStatus
from tests.integration.cli_runner import APP, Pavane
from tests.servers import RabbitServer, RedisServer


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("shop") / "poison"
    file.touch()
    return file


@pytest.fixture(scope="module")
def pavane(rabbit: RabbitServer, redis_server: RedisServer, poison: Path) -> Iterator[Pavane]:
    """The program in a namespace of its own, with workers."""
    program = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=f"t{secrets.token_hex(8)}",
        PAVANE_APP=APP,
        PAVANE_ACTOR="night shift",
        CLI_SHOP_POISON=str(poison),
    )
    with program.running() as workers:
        workers.wait_until_ready()
        yield program


def start(pavane: Pavane, item: str) -> str:
    order = f"{item}-{secrets.token_hex(4)}"
    run: str = pavane.json("start", "orders", "--payload", f'{{"order":"{order}","item":"{item}"}}')["run"]
    return run


def show_until(pavane: Pavane, run: str, what: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What `runs show` says once it is true; there is something to see at least every half second, for 30."""
    shown: dict[str, Any] = {}
    for _ in range(60):
        shown = pavane.json("runs", "show", run)
        if true(shown["run"]):
            return shown
        pavane("runs", "watch", run, "--timeout", "0.5")
    raise AssertionError(f"{run} is not {what}: {shown}")


def show_when(pavane: Pavane, run: str, status: str) -> dict[str, Any]:
    """What `runs show` says once the run has this status."""
    return show_until(pavane, run, status, lambda shown: bool(shown["status"] == status))


def is_held(run: dict[str, Any]) -> bool:
    return any(waiting["kind"] == "held" for waiting in run["waiting_for"])


def ended(pavane: Pavane, run: str) -> dict[str, Any]:
    """The run's status, once it has ended."""
    watched = pavane("runs", "watch", run, "--timeout", "30", "--json")
    status: dict[str, Any] = watched.lines[-1]["run"]
    return status


def lines(pavane: Pavane, run: str, kind: str) -> list[dict[str, Any]]:
    history = pavane.json("runs", "history", run, "--limit", "1000")["items"]
    return [line for line in history if line["kind"] == kind]


def test_a_stalled_run_is_cancelled_and_undone(pavane: Pavane) -> None:
    run = start(pavane, "poison")
    show_when(pavane, run, "stalled")
    foreseen = pavane.json("runs", "cancel", run, "--dry-run")
    assert (foreseen["done"], foreseen["dry_run"]) == (1, True)
    report = pavane.json("runs", "cancel", run, "--reason", "gave up", "--by", "operator-1", "--yes")
    assert report.keys() == BulkReport.model_fields.keys()
    assert (report["matched"], report["done"]) == (1, 1)
    status = ended(pavane, run)
    assert (status["status"], status["reason"], status["steps"]) == (
        "cancelled",
        "cancelled",
        {"dead": 1, "undone": 1},
    )
    [line] = lines(pavane, run, "cancel_requested")
    assert (line["by"], line["reason"], line["detail"]) == ("operator-1", "gave up", {"undo": True})
    assert pavane.json("runs", "cancel", run, "--yes")["done"] == 1
    refused = pavane("runs", "compensate", run, "--yes", "--json")
    assert (refused.code, refused.error["code"]) == (5, "action_refused")
    letters = pavane.json("dlq", "ls", "--run", run)["items"]
    redriven = pavane.json("dlq", "redrive", letters[0]["id"], "--yes", code=1)
    assert redriven["skipped"] == [{"id": letters[0]["id"], "reason": "run_cancelled"}]


def test_a_run_cancelled_without_undo_names_what_is_left(pavane: Pavane) -> None:
    run = start(pavane, "poison")
    show_when(pavane, run, "stalled")
    pavane.json("runs", "cancel", run, "--no-undo", "--yes")
    assert ended(pavane, run)["steps"] == {"committed": 1, "dead": 1}
    [line] = lines(pavane, run, "cancelled")
    assert line["detail"]["left_count"] == 1
    assert [step.partition(":")[0] for step in line["detail"]["left"]] == ["stock.reserve"]


def test_a_stalled_run_is_compensated(pavane: Pavane) -> None:
    run = start(pavane, "poison")
    show_when(pavane, run, "stalled")
    assert pavane.json("runs", "compensate", run, "--reason", "the bank has closed", "--yes")["done"] == 1
    status = ended(pavane, run)
    assert (status["status"], status["reason"]) == ("compensated", "operator")


def test_a_paused_run_holds_what_comes_and_goes_on_when_it_is_resumed(pavane: Pavane) -> None:
    run = start(pavane, "poison")
    stalled = show_when(pavane, run, "stalled")
    pavane.json("runs", "pause", run, "--reason", "the warehouse moves", "--yes")
    # A redriven job is held too: the handler is not called, no attempt is spent.
    [letter] = pavane.json("dlq", "ls", "--run", run)["items"]
    assert pavane.json("dlq", "redrive", letter["id"], "--yes")["done"] == 1
    shown = show_until(pavane, run, "held", is_held)
    assert (shown["run"]["status"], shown["run"]["paused"]) == ("paused", True)
    assert [step["attempt"] for step in shown["steps"]] == [step["attempt"] for step in stalled["steps"]]
    assert run in [one["run"] for one in pavane.json("runs", "ls", "--waiting-for", "held")["items"]]
    assert pavane.json("runs", "resume", "--status", "paused", "--workflow", "orders", "--yes")["done"] == 1
    # It runs into the same poison again, which shows that it ran.
    again = show_when(pavane, run, "stalled")
    assert again["steps"][1]["attempt"] == stalled["steps"][1]["attempt"] + 1
    assert [line["by"] for line in lines(pavane, run, "resumed")] == ["night shift"]


def test_a_dead_step_is_skipped_with_an_event_that_its_worker_emits(pavane: Pavane) -> None:
    run = start(pavane, "poison")
    step = show_when(pavane, run, "stalled")["steps"][1]["step_id"]
    words = ["runs", "skip", run, step, "--yes", "--payload"]
    order = run.partition(":")[2]
    undeclared = pavane(*words, "{}", "--event", "cli.reserved", "--json")
    assert (undeclared.code, undeclared.error["code"]) == (2, "undeclared_event")
    wrong = pavane(*words, "{}", "--event", "cli.confirmed", "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "invalid_payload")
    payload = f'{{"order":"{order}"}}'
    status = pavane.json(*words, payload, "--event", "cli.confirmed", "--reason", "confirmed by phone")
    assert status.keys() == RunStatus.model_fields.keys()
    assert (status["status"], status["reason"]) == ("completed", "cli.confirmed")
    assert status["steps"] == {"committed": 1, "skipped": 1}
    assert pavane.json(*words, payload, "--event", "cli.confirmed")["status"] == "completed"
    [line] = lines(pavane, run, "step_skipped")
    assert (line["by"], line["reason"], line["event"]) == (
        "night shift",
        "confirmed by phone",
        "cli.confirmed",
    )
    assert pavane.json("dlq", "ls", "--run", run)["items"] == []
    other = pavane(*words, f'{{"order":"{order}2"}}', "--event", "cli.confirmed", "--json")
    assert (other.code, other.out, other.error["code"]) == (5, "", "action_refused")


def test_a_deadline_is_moved_and_passes(pavane: Pavane) -> None:
    run = start(pavane, "poison")
    show_when(pavane, run, "stalled")
    status = pavane.json("runs", "deadline", run, "2100-01-01T00:00Z", "--yes")
    assert status["deadline_at"] == "2100-01-01T00:00:00Z"
    pavane.json("runs", "deadline", run, "1s", "--reason", "enough", "--yes")
    status = ended(pavane, run)
    assert (status["status"], status["reason"]) == ("compensated", "deadline")
    assert [line["reason"] for line in lines(pavane, run, "deadline_moved")] == [None, "enough"]
    assert pavane("runs", "deadline", run, "2h", "--yes", "--json").code == 5


def test_many_runs_are_steered_by_a_filter(pavane: Pavane) -> None:
    runs = [start(pavane, "later") for _ in range(3)]
    for run in runs:
        show_when(pavane, run, "waiting")
    words = ["--waiting-for", "timer", "--workflow", "orders"]
    assert pavane.json("runs", "cancel", *words, "--dry-run")["matched"] == 3
    report = pavane.json("runs", "cancel", *words, "--yes", "--reason", "the sale is off")
    assert (report["matched"], report["done"]) == (3, 3)
    assert {ended(pavane, run)["status"] for run in runs} == {"cancelled"}
    mixed = pavane.json("runs", "pause", *runs, "--yes", code=1)
    assert (mixed["done"], {one["reason"] for one in mixed["skipped"]}) == (0, {"run_cancelled"})
