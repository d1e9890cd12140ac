"""`pavane run`: one process or several, ready when its consumers exist, gone when it is told."""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path

import pytest

from tests.integration.cli_runner import APP, Pavane
from tests.servers import RabbitServer, RedisServer, process_is_gone


@pytest.fixture
def pavane(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> Pavane:
    return Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=f"t{secrets.token_hex(8)}",
        PAVANE_APP=APP,
        CLI_SHOP_POISON=str(tmp_path / "poison"),
    )


def start_and_wait(pavane: Pavane) -> int:
    payload = f'{{"order":"{secrets.token_hex(4)}"}}'
    return pavane("start", "orders", "--payload", payload, "--wait", "--timeout", "20").code


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while not process_is_gone(pid):
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.02)


def test_one_process_says_ready_once_and_ends_when_told(pavane: Pavane) -> None:
    with pavane.running() as workers:
        workers.wait_until_ready()
        found = {check["name"]: check["status"] for check in pavane.json("doctor")["checks"]}
        assert (found["consumers"], found["topology"]) == ("ok", "ok")
        assert start_and_wait(pavane) == 0
        assert workers.stop() == 0
    assert workers.said.count("ready") == 1


def test_several_processes_say_ready_once_and_end_together(pavane: Pavane) -> None:
    with pavane.running(APP, "--processes", "2") as workers:
        workers.wait_until_ready()
        children = children_of(workers.process.pid)
        assert len(children) == 2
        assert start_and_wait(pavane) == 0
        assert workers.stop(signal.SIGINT) == 0
    assert workers.said.count("ready") == 1
    assert all(process_is_gone(child) for child in children)


def test_a_process_that_dies_takes_the_others_along_and_tells(pavane: Pavane) -> None:
    with pavane.running(APP, "--processes", "2") as workers:
        workers.wait_until_ready()
        [first, second] = children_of(workers.process.pid)
        os.kill(first, signal.SIGKILL)
        assert workers.wait() == 128 + signal.SIGKILL
    wait_until_gone(second)


def test_processes_whose_parent_is_killed_stop_too(pavane: Pavane) -> None:
    with pavane.running(APP, "--processes", "2") as workers:
        workers.wait_until_ready()
        children = children_of(workers.process.pid)
        workers.process.kill()
        workers.process.wait()
        for child in children:
            wait_until_gone(child)


def test_only_some_workers_run(pavane: Pavane) -> None:
    with pavane.running(APP, "--only", "stock") as workers:
        workers.wait_until_ready()
        checks = {check["name"]: check for check in pavane.json("doctor")["checks"]}
        assert checks["consumers"]["summary"] == "Nobody consumes for mail.confirm."


def test_embedded_needs_no_servers() -> None:
    with Pavane.on(CLI_SHOP_POISON="none").running(APP, "--embedded") as workers:
        workers.wait_until_ready()
        assert workers.stop() == 0


def test_a_log_line_is_json_where_nobody_looks(pavane: Pavane) -> None:
    Path(pavane.environment["CLI_SHOP_POISON"]).touch()
    with pavane.running(APP) as workers:
        workers.wait_until_ready()
        pavane("start", "orders", "--payload", '{"order":"1","item":"poison"}')
        while not pavane.json("runs", "ls", "--status", "stalled")["items"]:
            continue
        workers.stop()
    [said] = [line for line in workers.said if "mail.confirm" in line]
    assert said.startswith("{")
    assert '"level": "warning"' in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([APP], "--embedded"),
        ([APP, "--only", "nobody", "--embedded"], "Services: stock, mail."),
        ([APP, "--embedded", "--processes", "2"], "one process"),
        ([APP, "--declare", "maybe"], "maybe"),
        ([APP, "--reload", "--embedded"], "cannot do that yet"),
        (["tests.nowhere:app"], "tests.nowhere"),
        ([], "PAVANE_APP"),
    ],
)
def test_what_cannot_run_is_code_2(words: list[str], says: str) -> None:
    done = Pavane.on()("run", *words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
