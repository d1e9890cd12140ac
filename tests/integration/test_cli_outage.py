"""A server is down: every command says at once which, what the other one still does, and ends with 4.

The commands are read from the program itself, so a new one fails here until it has a line in one of the tables.
To a client a stopped server is a port where nobody listens, and a silent one, whose machine hangs, a port that takes
connections and never says a word.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
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
AT_ONCE = 3
"""Commands that run side by side; more would make each of them slow."""

SILENT_AT_ONCE = 6
"""The same, where they mostly wait."""
SECRET = "n0t-the-passw0rd"
RUN = "orders:1"
LETTER = "af899e926e61bfc9"
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
    "dlq show": (LETTER,),
    "dlq export": (),
    "dlq edit": (LETTER, "--patch", "{}", "--reason", "mended", "--yes"),
    "dlq redrive": ("--all", "--yes"),
    "dlq reindex": ("--yes",),
    "audit": (),
    "dlq discard": (LETTER, "--yes"),
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
    """Which of the two are down, or `silent`, and what is said then of the other."""

    down: frozenset[str]
    says: str
    silent: bool = False

    @property
    def code(self) -> str:
        return "state_unavailable" if "Redis" in self.down else "broker_unavailable"

    @property
    def trouble(self) -> str:
        return "answer in time" if self.silent else "connection refused"

    def __str__(self) -> str:
        return " and ".join(sorted(self.down)) + (" silent" if self.silent else "")


ONE_DOWN = {
    "RabbitMQ": "Redis answers: runs are kept",
    "Redis": "RabbitMQ answers: jobs and events wait",
}
OUTAGES = (
    *(Outage(frozenset({server}), says) for server, says in ONE_DOWN.items()),
    Outage(frozenset(ONE_DOWN), "Nothing moves until both are back"),
)
SILENCES = tuple(Outage(frozenset({server}), says, silent=True) for server, says in ONE_DOWN.items())
REMEDIES = {
    ("RabbitMQ", False): "Start RabbitMQ",
    ("Redis", False): "Start Redis",
    ("RabbitMQ", True): "`rabbitmq-diagnostics check_running`",
    ("Redis", True): "`redis-cli PING`",
}


@dataclass(frozen=True)
class Floor:
    """The program in front of servers of which some are down; several commands at once."""

    pavane: Pavane
    workers: ProcessPoolExecutor
    contracts: Path

    def all(
        self, commands: list[tuple[str, ...]], *, json: bool, at_once: int = AT_ONCE
    ) -> list[tuple[tuple[str, ...], Done, float]]:
        """Every command with how it ended and the seconds that it took."""
        given = [(*words, "--json") if json else words for words in commands]

        def run(words: tuple[str, ...]) -> tuple[Done, float]:
            meant = tuple(str(self.contracts) if word == CONTRACTS else word for word in words)
            return self.workers.submit(timed, self.pavane, meant).result()

        with ThreadPoolExecutor(at_once) as hands:
            answers = list(hands.map(run, given))
        # Whoever is on call gives one command: one that the others beside it made slow is given once more, alone.
        answers = [
            answer if answer[1] < AT_MOST else run(words)
            for words, answer in zip(given, answers, strict=True)
        ]
        return [(words, *answer) for words, answer in zip(given, answers, strict=True)]


def timed(pavane: Pavane, words: tuple[str, ...]) -> tuple[Done, float]:
    began = time.monotonic()
    done = pavane.alone(*words)
    return done, time.monotonic() - began


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessPoolExecutor]:
    # Not threads: a command sees its process's own environment and standard streams. `main` sets all else anew.
    with ProcessPoolExecutor(SILENT_AT_ONCE, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def silent_port() -> Iterator[int]:
    """A server that takes every connection and reads nothing from it."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        yield server.getsockname()[1]


@dataclass(frozen=True)
class Stage:
    """What a floor is made of."""

    rabbit: RabbitServer
    redis: RedisServer
    namespace: str
    workers: ProcessPoolExecutor
    contracts: Path

    def floor(self, outage: Outage, port: int) -> Floor:
        """With the port of what is down."""
        broker, state = self.rabbit.url, self.redis.url
        if "RabbitMQ" in outage.down:
            broker = f"amqp://guest:{SECRET}@127.0.0.1:{port}/"
        if "Redis" in outage.down:
            state = f"redis://:{SECRET}@127.0.0.1:{port}/0"
        pavane = Pavane.on(
            PAVANE_BROKER_URL=broker, PAVANE_STATE_URL=state, PAVANE_NAMESPACE=self.namespace, PAVANE_APP=APP
        )
        self.contracts.write_text(pavane("contracts", "export").out)
        return Floor(pavane, self.workers, self.contracts)


@pytest.fixture
def stage(
    rabbit: RabbitServer,
    redis_server: RedisServer,
    namespace: str,
    workers: ProcessPoolExecutor,
    tmp_path: Path,
) -> Stage:
    return Stage(rabbit, redis_server, namespace, workers, tmp_path / "contracts.json")


@pytest.fixture(params=OUTAGES, ids=str)
def outage(request: pytest.FixtureRequest) -> Outage:
    chosen: Outage = request.param
    return chosen


@pytest.fixture
def floor(stage: Stage, outage: Outage) -> Floor:
    return stage.floor(outage, free_port())


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
    assert_all_answer(floor, outage, json=round == 1)


@pytest.mark.parametrize("outage", SILENCES, ids=str)
def test_a_server_that_never_says_a_word_is_given_up_as_soon(
    stage: Stage, outage: Outage, silent_port: int
) -> None:
    assert_all_answer(stage.floor(outage, silent_port), outage, json=False)


def test_doctor_waits_for_all_that_is_silent_at_once(stage: Stage, silent_port: int) -> None:
    both = Outage(frozenset(ONE_DOWN), "", silent=True)
    pavane = stage.floor(both, silent_port).pavane
    api = {"PAVANE_MANAGEMENT_URL": f"http://127.0.0.1:{silent_port}"}
    done, took = timed(Pavane(pavane.environment | api), ("doctor", "--json"))
    assert (done.code, took < AT_MOST) == (4, True), (done, took)
    assert_document(done, both, json=True)


def assert_all_answer(floor: Floor, outage: Outage, *, json: bool) -> None:
    at_once = SILENT_AT_ONCE if outage.silent else AT_ONCE
    for words, done, took in floor.all([*lines(NEED_SERVERS), *VARIANTS], json=json, at_once=at_once):
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
        named = REMEDIES[server, outage.silent] in remedy
        assert named == (server in outage.down), (words, remedy)
        assert server in said
    assert said.count(outage.trouble) == len(outage.down), said


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
