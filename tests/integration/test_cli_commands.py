"""The command line on real servers, with workers running beside it: JSON shapes and exit codes."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pavane.cli.findings import NAMES
from pavane.model.views import BulkReport, DeadLetter, HistoryEntry, RunStatus, Step
from tests.integration.cli_runner import APP, ROOT, Done, Pavane
from tests.servers import RabbitServer, RedisServer


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "poison"


@pytest.fixture(scope="module")
def pavane(rabbit: RabbitServer, redis_server: RedisServer, poison: Path) -> Iterator[Pavane]:
    """The program in a namespace of its own, with workers."""
    program = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=f"t{secrets.token_hex(8)}",
        PAVANE_APP=APP,
        CLI_SHOP_POISON=str(poison),
    )
    with program.running() as workers:
        workers.wait_until_ready()
        yield program


def start(pavane: Pavane, item: str, *words: str) -> Done:
    order = f"{item}-{secrets.token_hex(4)}"
    return pavane("start", "orders", "--payload", f'{{"order":"{order}","item":"{item}"}}', "--json", *words)


def dead(pavane: Pavane, poison: Path) -> str:
    """A run that is stalled with a dead letter; its name."""
    poison.touch()
    run: str = start(pavane, "poison").document["run"]
    watched = pavane("runs", "watch", run, "--timeout", "0.5", "--json")
    while not any(line.get("kind") == "stalled" for line in watched.lines):
        watched = pavane("runs", "watch", run, "--timeout", "0.5", "--json")
    # Nothing ends the watch of a stalled run but its timeout.
    assert (watched.code, watched.error["code"]) == (124, "timeout")
    assert "--timeout" in watched.error["remedy"]
    return run


def letter_of(pavane: Pavane, run: str) -> str:
    [letter] = pavane.json("dlq", "ls", "--run", run)["items"]
    return str(letter["id"])


# start


def test_start_says_what_it_did(pavane: Pavane) -> None:
    payload = f'{{"order":"{secrets.token_hex(4)}"}}'
    first, again = [pavane.json("start", "orders", "--payload", payload) for _ in range(2)]
    assert first.keys() == {"run", "workflow", "run_id", "created", "status"}
    assert (first["workflow"], first["created"], again["created"]) == ("orders", True, False)
    assert first["run"] == f"orders:{first['run_id']}" == again["run"]


def test_start_can_wait_and_its_code_tells_the_end(pavane: Pavane) -> None:
    completed, refused = [start(pavane, item, "--wait", "--timeout", "20") for item in ("book", "none")]
    assert completed.code == 0
    status = RunStatus.model_validate(completed.document)
    assert (status.status, status.reason, status.data) == ("completed", "cli.confirmed", {"item": "book"})
    assert completed.document.keys() == RunStatus.model_fields.keys()
    assert (refused.code, refused.document["status"]) == (1, "compensated")
    late = start(pavane, "later", "--wait", "--timeout", "0.2")
    assert (late.code, late.out, late.error["code"]) == (124, "", "timeout")


def test_start_reads_its_payload_from_a_file_or_from_standard_input(pavane: Pavane, tmp_path: Path) -> None:
    order = secrets.token_hex(4)
    (tmp_path / "order.json").write_text(f'{{"order":"{order}"}}')
    pavane.json("start", "orders", "--payload", f"@{tmp_path}/order.json")
    done = pavane("start", "orders", "--payload", "-", "--json", input=f'{{"order":"{order}"}}')
    assert done.document == {
        "run": f"orders:{order}",
        "workflow": "orders",
        "run_id": order,
        "created": False,
        "status": done.document["status"],
    }


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["start", "nothing"], "usage_error"),
        (["start", "orders"], "invalid_payload"),
        (["start", "orders", "--payload", "{"], "undecodable"),
        (["start", "orders", "--payload", "@/nowhere"], "usage_error"),
        (["start", "orders", "--attribute", "a=1"], "usage_error"),
        (["start", "orders", "--app", "tests.nowhere:app"], "usage_error"),
        (["start", "orders", "--app", "tests.servers:app"], "usage_error"),
        (["runs", "ls", "--status", "done"], "usage_error"),
        (["runs", "ls", "--where", "amount>=5"], "usage_error"),
        (["runs", "ls", "--limit", "0"], "usage_error"),
        (["runs", "show", "no run"], "usage_error"),
        (["dlq", "redrive", "--yes"], "usage_error"),
        (["dlq", "discard", "--all"], "usage_error"),
        (["nothing"], "usage_error"),
        (["--namespace", "No", "runs", "ls"], "settings_error"),
        (["--env-file", "/nowhere", "runs", "ls"], "settings_error"),
    ],
)
def test_what_cannot_be_meant_is_code_2(pavane: Pavane, words: list[str], code: str) -> None:
    done = pavane(*words, "--json")
    assert (done.code, done.out) == (2, "")
    assert done.error.keys() == {"code", "message", "remedy"}
    assert done.error["code"] == code
    assert done.error["remedy"]


# runs


def test_runs_are_listed_shown_and_watched(pavane: Pavane) -> None:
    run = start(pavane, "none", "--wait").document["run"]
    listed = pavane.json("runs", "ls", "--status", "compensated,failed", "--workflow", "orders")
    assert listed.keys() == {"items", "cursor"}
    assert run in [item["run"] for item in listed["items"]]
    shown = pavane.json("runs", "show", run)
    assert shown.keys() == {"run", "steps", "gates", "timers", "children"}
    assert [(step["worker"], step["status"]) for step in shown["steps"]] == [
        ("stock.reserve", "undone"),
        ("mail.confirm", "committed"),
    ]
    assert shown["steps"][0].keys() == Step.model_fields.keys()
    assert shown["steps"][0]["undo"]["status"] == "undone"
    history = pavane.json("runs", "history", run, "--limit", "3")
    assert [line["seq"] for line in history["items"]] == [1, 2, 3]
    assert history["items"][0].keys() == HistoryEntry.model_fields.keys()
    rest = pavane.json("runs", "history", run, "--cursor", history["cursor"])
    kinds = [line["kind"] for line in [*history["items"], *rest["items"]]]
    # Marks come after the ending: that nobody subscribes to the last event is noted a little later.
    assert kinds[kinds.index("compensated") + 1 :] in ([], ["unrouted"])
    watched = pavane("runs", "watch", run, "--json")
    assert watched.code == 1
    assert [line["kind"] for line in watched.lines[:-1]] == kinds[: kinds.index("compensated") + 1]
    assert watched.lines[-1]["run"]["status"] == "compensated"


def test_a_waiting_run_shows_its_timer(pavane: Pavane) -> None:
    run = start(pavane, "later").document["run"]
    shown = pavane.json("runs", "show", run)
    while not shown["timers"]:
        shown = pavane.json("runs", "show", run)
    [timer] = shown["timers"]
    assert (timer["key"], timer["event"], shown["run"]["status"]) == ("confirm", "cli.confirmed", "waiting")
    assert timer["at"] > shown["run"]["started_at"]
    found = pavane.json("runs", "ls", "--waiting-for", "timer")["items"]
    assert run in [item["run"] for item in found]
    assert "timer confirm: cli.confirmed" in pavane("runs", "show", run).out


def test_what_is_not_there_is_code_3(pavane: Pavane) -> None:
    for words in (
        ("runs", "show", "orders:nothing"),
        ("runs", "history", "orders:nothing"),
        ("runs", "watch", "orders:nothing"),
        ("runs", "deadline", "orders:nothing", "2h", "--yes"),
    ):
        done = pavane(*words, "--json")
        assert (done.code, done.out, done.error["code"]) == (3, "", "run_not_found")
    done = pavane("dlq", "show", "nothing", "--json")
    assert (done.code, done.out, done.error["code"]) == (3, "", "letter_not_found")
    done = pavane("dlq", "redrive", "nothing", "--yes", "--json")
    assert (done.code, done.document["skipped"][0]["id"]) == (3, "nothing")


# dead letters


def test_a_dead_letter_is_shown_redriven_and_the_run_goes_on(pavane: Pavane, poison: Path) -> None:
    run = dead(pavane, poison)
    letter = letter_of(pavane, run)
    shown = pavane.json("dlq", "show", letter)
    assert shown.keys() == DeadLetter.model_fields.keys()
    assert (shown["reason"], shown["worker"], shown["run"]) == ("rejected", "mail.confirm", run)
    assert pavane.json("dlq", "redrive", letter, "--dry-run") == {
        "matched": 1, "done": 1, "dry_run": True, "skipped": []
    }  # fmt: skip
    unasked = pavane("dlq", "redrive", letter, "--json")
    assert (unasked.code, unasked.out) == (2, "")
    poison.unlink()
    report = pavane.json("dlq", "redrive", "--run", run, "--yes", "--by", "operator-1", "--reason", "mended")
    assert report.keys() == BulkReport.model_fields.keys()
    assert (report["matched"], report["done"]) == (1, 1)
    watched = pavane("runs", "watch", run, "--timeout", "20", "--json")
    assert watched.code == 0
    [redriven] = [line for line in watched.lines if line.get("kind") == "redriven"]
    assert (redriven["by"], redriven["reason"]) == ("operator-1", "mended")
    assert pavane.json("dlq", "ls", "--run", run)["items"] == []


def test_a_live_runs_letter_is_discarded_only_with_a_decision(pavane: Pavane, poison: Path) -> None:
    run = dead(pavane, poison)
    letter = letter_of(pavane, run)
    refused = pavane.json("dlq", "discard", letter, "--yes", code=1)
    assert refused["skipped"] == [{"id": letter, "reason": "run_is_live"}]
    report = pavane.json("dlq", "discard", letter, "--then", "compensate", "--yes")
    assert report["done"] == 1
    watched = pavane("runs", "watch", run, "--timeout", "20", "--json")
    assert (watched.code, watched.lines[-1]["run"]["status"]) == (1, "compensated")
    assert watched.lines[-1]["run"]["reason"] == "step_dead"


def test_hostile_data_does_not_reach_the_terminal(pavane: Pavane, poison: Path) -> None:
    order = "\\u001b]0;gone\\u0007 [bold]x[/bold]\\u202e"
    poison.touch()
    payload = f'{{"order":"h-{secrets.token_hex(4)}","item":"{order}"}}'
    run = pavane.json("start", "orders", "--payload", payload, "--wait")["run"]
    for words in (("runs", "show", run), ("runs", "ls"), ("runs", "history", run), ("dlq", "ls")):
        human = pavane(*words)
        assert human.code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(human.out)
    assert "[bold]x[/bold]" in pavane("runs", "show", run).out


# topology and doctor


def test_what_was_changed_is_on_record_with_who_and_why(pavane: Pavane) -> None:
    new = Pavane(pavane.environment | {"PAVANE_NAMESPACE": f"t{secrets.token_hex(8)}"})
    why = ("--by", "operator-1", "--reason", "first release", "--yes")
    new.json("topology", "apply", *why)
    new.json("topology", "apply", *why)  # nothing was missing: nothing is on record
    done, begun = new.json("audit")["items"]
    assert (begun["outcome"], done["outcome"]) == ("begun", "done")
    for line in (begun, done):
        assert (line["by"], line["reason"], line["action"]) == (
            "operator-1",
            "first release",
            "topology apply",
        )
        assert any(name.endswith(".parked") for name in line["subjects"])


def test_topology_is_clean_once_applied(pavane: Pavane) -> None:
    namespace = f"t{secrets.token_hex(8)}"
    planned = pavane.json("topology", "plan", "--namespace", namespace, code=1)
    assert planned["clean"] is False
    assert planned["changes"][0].keys() == {
        "action", "kind", "name", "argument", "current", "wanted", "remedy"
    }  # fmt: skip
    applied = pavane.json("topology", "apply", APP, "--namespace", namespace)
    assert applied == {"clean": True, "changes": planned["changes"]}
    assert pavane.json("topology", "plan", "--namespace", namespace) == {"clean": True, "changes": []}
    assert pavane.json("runs", "ls", "--namespace", namespace) == {"items": [], "cursor": None}


def test_doctor_makes_every_check(pavane: Pavane) -> None:
    examined = pavane.json("doctor")
    assert examined["ok"] is True
    assert [check["name"] for check in examined["checks"]] == list(NAMES)
    assert all(check.keys() == {"name", "status", "summary", "remedy"} for check in examined["checks"])
    found = {check["name"]: check for check in examined["checks"]}
    for name in ("broker_connection", "broker_version", "topology", "consumers", "state_version", "epoch"):
        assert found[name]["status"] == "ok", found[name]
    for name in ("broker_permissions", "dead_lettering", "policies"):
        assert found[name]["status"] == "warning"
        assert found[name]["summary"] == "not seen: set PAVANE_MANAGEMENT_URL"
        assert "`rabbitmqctl " in found[name]["remedy"]
    assert all(check["remedy"] for check in examined["checks"] if check["status"] != "ok")


def test_doctor_says_what_a_new_namespace_lacks(pavane: Pavane) -> None:
    examined = pavane.json("doctor", "--namespace", f"t{secrets.token_hex(8)}", code=1)
    found = {check["name"]: check for check in examined["checks"]}
    assert examined["ok"] is False
    assert (found["topology"]["status"], found["epoch"]["status"]) == ("error", "warning")
    assert "topology apply" in found["topology"]["remedy"]
    assert all(check["remedy"] for check in examined["checks"] if check["status"] != "ok")


NOBODY_AT_ALL = ("amqp://guest:secret@127.0.0.1:1/", "redis://:secret@127.0.0.1:1/0")


@pytest.mark.parametrize("away", ["broker", "state", "both"])
def test_an_unreachable_server_is_code_4_and_doctor_has_a_remedy_for_all_that_it_cannot_see(
    rabbit: RabbitServer, redis_server: RedisServer, away: str
) -> None:
    broker, state = NOBODY_AT_ALL
    nobody = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url if away == "state" else broker,
        PAVANE_STATE_URL=redis_server.url if away == "broker" else state,
    )
    examined = nobody("doctor", "--json")
    assert examined.code == 4
    checks = {check["name"]: check for check in examined.document["checks"]}
    assert checks.keys() == set(NAMES)
    assert [name for name, check in checks.items() if check["status"] != "ok" and not check["remedy"]] == []
    for name, remedy in (("broker", "Start RabbitMQ"), ("state", "Start Redis")):
        connection = checks[f"{name}_connection"]
        assert (connection["status"] == "error") == (away in (name, "both"))
        assert (remedy in (connection["remedy"] or "")) == (away in (name, "both"))
    assert "secret" not in examined.out + examined.err


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "ls"],
        ["runs", "show", "orders:1"],
        ["runs", "history", "orders:1"],
        ["runs", "watch", "orders:1"],
        ["runs", "cancel", "orders:1", "--yes"],
        ["runs", "pause", "--status", "running", "--yes"],
        ["runs", "skip", "orders:1", "mail.confirm:1", "--app", APP, "--event", "cli.confirmed",
         "--payload", '{"order":"1"}', "--yes"],
        ["runs", "deadline", "orders:1", "2h", "--yes"],
        ["dlq", "ls"],
        ["dlq", "show", "1"],
        ["dlq", "redrive", "--all", "--yes"],
        ["dlq", "discard", "1", "--yes"],
        ["start", "orders", "--app", APP, "--payload", '{"order":"1"}'],
        ["topology", "plan", APP],
        ["topology", "apply", APP],
        ["run", APP],
    ],
    ids=lambda words: " ".join(words[:3]),
)  # fmt: skip
def test_every_command_names_the_server_that_is_away_and_says_what_to_do(
    rabbit: RabbitServer, redis_server: RedisServer, words: list[str]
) -> None:
    broker, state = NOBODY_AT_ALL
    for urls, code, remedy in (
        ((broker, redis_server.url), "broker_unavailable", "Start RabbitMQ"),
        ((rabbit.url, state), "state_unavailable", "Start Redis"),
    ):
        nobody = Pavane.on(PAVANE_BROKER_URL=urls[0], PAVANE_STATE_URL=urls[1])
        done = nobody(*words, "--json")
        assert (done.code, done.out) == (4, "")
        error = json.loads(done.err.splitlines()[-1])["error"]
        assert error["code"] == code
        assert "127.0.0.1:1" in error["message"]
        assert remedy in error["remedy"]
        assert remedy in nobody(*words).err
        assert "secret" not in done.err


def test_the_program_as_people_call_it(pavane: Pavane) -> None:
    done = pavane.outside("runs", "show", "orders:nothing", "--json")
    assert (done.code, done.out, done.error["code"]) == (3, "", "run_not_found")


def test_a_reader_that_has_seen_enough_is_no_error(pavane: Pavane) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "pavane.cli", "runs", "ls"],
            cwd=ROOT, env=pavane.environment, stdout=closed, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
