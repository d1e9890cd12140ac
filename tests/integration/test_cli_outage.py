"""A server is down: every command says at once which, what the other one still does, and ends with 4.

The commands are read from the program itself, so a new one fails here until it has a line in one of the tables.
To a client a stopped server is a port where nobody listens.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from pavane.cli.findings import NAMES
from pavane.cli.program import program
from tests.integration.cli_runner import APP, Done, Pavane
from tests.servers import RabbitServer, RedisServer, free_port

AT_MOST = 5.0
ROUNDS = 3
SECRET = "n0t-the-passw0rd"
RUN = "orders:1"
PLACED = ("--payload", '{"order":"1"}')
CONTRACTS = "CONTRACTS"
"""Stands for a file that `contracts export` has written."""

NEED_SERVERS: dict[str, tuple[str, ...]] = {
    "run": (),
    "start": ("orders", *PLACED),
    "emit": ("cli.confirmed", *PLACED, "--run", RUN),
    "doctor": (),
    "queues": (),
    "events unrouted": (),
    "workflows stats": (),
    "runs ls": (),
    "runs show": (RUN,),
    "runs history": (RUN,),
    "runs watch": (RUN,),
    "runs cancel": (RUN, "--yes"),
    "runs compensate": (RUN, "--yes"),
    "runs pause": (RUN, "--yes"),
    "runs resume": ("--workflow", "orders", "--yes"),
    "runs skip": (RUN, "mail.confirm:1", "--event", "cli.confirmed", *PLACED, "--yes"),
    "runs deadline": (RUN, "2d", "--yes"),
    "dlq ls": (),
    "dlq groups": (),
    "dlq show": ("af899e926e61bfc9",),
    "dlq export": (),
    "dlq edit": ("af899e926e61bfc9", "--patch", "{}", "--reason", "mended", "--yes"),
    "dlq redrive": ("--all", "--yes"),
    "dlq discard": ("af899e926e61bfc9", "--yes"),
    "topology plan": (),
    "topology apply": ("--yes",),
    "topology verify": (),
    "topology prune": ("--yes",),
    "topology migrate": ("pavane.dlq.stock.reserve", "--yes"),
}
NEED_NONE: dict[str, tuple[str, ...]] = {
    "check": (),
    "graph": (),
    "asyncapi": (),
    "contracts export": (),
    "contracts diff": (CONTRACTS, CONTRACTS),
    "topology export": ("--definitions",),
}
VARIANTS: tuple[tuple[str, ...], ...] = (
    ("start", "orders", *PLACED, "--wait", "--timeout", "60"),
    ("emit", "cli.confirmed", *PLACED),
    ("runs", "ls", "--watch"),
    ("queues", "--watch"),
    ("workflows", "stats", "--run", RUN),
    ("runs", "watch", RUN, "--timeout", "60"),
    ("graph", "--run", RUN),
)
"""Options that let a command wait, or need a server where it needs none without."""


@dataclass(frozen=True)
class Outage:
    """Which of the two are down, and what is said then of the other."""

    down: frozenset[str]
    says: str

    @property
    def code(self) -> str:
        return "state_unavailable" if "Redis" in self.down else "broker_unavailable"

    def __str__(self) -> str:
        return " and ".join(sorted(self.down))


OUTAGES = (
    Outage(frozenset({"RabbitMQ"}), "Redis answers: runs are kept"),
    Outage(frozenset({"Redis"}), "RabbitMQ answers: jobs and events wait"),
    Outage(frozenset({"RabbitMQ", "Redis"}), "Nothing moves until both are back"),
)


@dataclass(frozen=True)
class Floor:
    """The program in front of servers of which some are down; several commands at once."""

    pavane: Pavane
    workers: ProcessPoolExecutor
    contracts: Path

    def all(
        self, commands: list[tuple[str, ...]], *, json: bool
    ) -> list[tuple[tuple[str, ...], Done, float]]:
        """Every command with how it ended and the seconds that it took."""
        given = [(*words, "--json") if json else words for words in commands]
        files = {CONTRACTS: str(self.contracts)}
        asked = [tuple(files.get(word, word) for word in words) for words in given]
        answers = self.workers.map(timed, [self.pavane] * len(asked), asked)
        return [(words, *answer) for words, answer in zip(given, answers, strict=True)]


def timed(pavane: Pavane, words: tuple[str, ...]) -> tuple[Done, float]:
    began = time.monotonic()
    done = pavane.alone(*words)
    return done, time.monotonic() - began


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessPoolExecutor]:
    # Not threads: a command sees its process's own environment and standard streams. `main` sets all else anew.
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module", params=OUTAGES, ids=str)
def outage(request: pytest.FixtureRequest) -> Outage:
    chosen: Outage = request.param
    return chosen


@pytest.fixture
def floor(
    outage: Outage,
    rabbit: RabbitServer,
    redis_server: RedisServer,
    namespace: str,
    workers: ProcessPoolExecutor,
    tmp_path: Path,
) -> Floor:
    broker = f"amqp://guest:{SECRET}@127.0.0.1:{free_port()}/" if "RabbitMQ" in outage.down else rabbit.url
    state = f"redis://:{SECRET}@127.0.0.1:{free_port()}/0" if "Redis" in outage.down else redis_server.url
    pavane = Pavane.on(
        PAVANE_BROKER_URL=broker, PAVANE_STATE_URL=state, PAVANE_NAMESPACE=namespace, PAVANE_APP=APP
    )
    exported = pavane("contracts", "export")
    contracts = tmp_path / "contracts.json"
    contracts.write_text(exported.out)
    return Floor(pavane, workers, contracts)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The full name of every command; a group has more of them below."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(path)
        return
    for name, one in below.items():
        yield from leaves(one, (*path, name))


def lines(table: dict[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [(*command.split(), *words) for command, words in table.items()]


def test_every_command_of_the_program_is_in_one_of_the_tables() -> None:
    assert sorted(leaves(get_command(program))) == sorted([*NEED_SERVERS, *NEED_NONE])


@pytest.mark.parametrize("round", range(ROUNDS))
def test_every_command_answers_soon_and_says_what_is_down(floor: Floor, outage: Outage, round: int) -> None:
    json = round == 1
    for words, done, took in floor.all([*lines(NEED_SERVERS), *VARIANTS], json=json):
        assert took < AT_MOST, (words, took)
        assert done.code == 4, (words, done)
        assert SECRET not in done.out + done.err
        if words[0] == "doctor":
            assert_document(done, outage, json=json)
        else:
            assert_one_line(words, done, outage, json=json)


def assert_one_line(words: tuple[str, ...], done: Done, outage: Outage, *, json: bool) -> None:
    assert done.out == "", words
    if json:
        assert done.error["code"] == outage.code, (words, done)
        said, remedy = done.error["message"], done.error["remedy"]
    else:
        said, remedy, nothing = done.err.split("\n")
        assert nothing == ""
    assert outage.says in said
    for server in ("RabbitMQ", "Redis"):
        assert (f"Start {server}" in remedy) == (server in outage.down), (words, remedy)
        assert server in said
    assert said.count("connection refused") == len(outage.down), said


def assert_document(done: Done, outage: Outage, *, json: bool) -> None:
    if not json:
        assert [name for name in NAMES if name not in done.out] == []
        return
    status = {check["name"]: check["status"] for check in done.document["checks"]}
    assert list(status) == list(NAMES)
    assert (status["broker_connection"] == "error") == ("RabbitMQ" in outage.down)
    assert (status["state_connection"] == "error") == ("Redis" in outage.down)
    assert done.document["ok"] is False


@pytest.mark.parametrize("round", range(ROUNDS))
def test_what_needs_no_server_works_all_the_same(floor: Floor, round: int) -> None:
    for words, done, took in floor.all(lines(NEED_NONE), json=round == 1):
        assert took < AT_MOST, (words, took)
        assert (done.code, bool(done.out)) == (0, True), (words, done)


@pytest.mark.parametrize("words", [("runs", "ls"), ("run", "--processes", "2")], ids=" ".join)
def test_so_it_is_in_processes_of_their_own(floor: Floor, outage: Outage, words: tuple[str, ...]) -> None:
    began = time.monotonic()
    done = floor.pavane.outside(*words)
    assert time.monotonic() - began < AT_MOST
    assert done.code == 4, done
    assert outage.says in done.err
