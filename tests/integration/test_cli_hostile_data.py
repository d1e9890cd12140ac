"""Whatever senders, handlers and operators write, no byte of it that a terminal would obey reaches the terminal.

Every command of the program runs, as text and as JSON, where all data is hostile; the commands are those of the outage
tables, so a new one is here by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import secrets
import subprocess
import sys
from dataclasses import dataclass

import aiormq
import pytest
from pamqp.commands import Basic

from pavane.core.topology import Names
from tests.integration.cli_runner import APP, ROOT, Done, Pavane
from tests.integration.test_cli_outage import LETTER, NEED_SERVERS, RUN, VARIANTS, lines
from tests.servers import RabbitServer, RedisServer

FORGED = "completed orders:forged"
"""What would be a line of its own, if a line break got through."""

HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x07 \x9b2J\x85 \u202egnp.exe\u2066 \u200f\u2028"
    f"\x08\x08 \x7f\x00 \r\n{FORGED}\r {FORGED} [red]markup[/red] [link=http://evil.example]here[/link] "
    ":bomb: \U000e0041"
)
LOOKS_FIRST = ("ls", "show", "history", "groups", "export", "queues", "stats", "unrouted", "graph", "doctor")
GRAPHS = tuple(("graph", "--run", RUN, "--format", form) for form in ("mermaid", "dot", "svg"))


@dataclass(frozen=True)
class Scene:
    """Runs with hostile data in every place, and the ids of dead letters; no worker runs any more."""

    pavane: Pavane
    letters: tuple[str, ...]


@pytest.fixture(scope="module")
def scene(rabbit: RabbitServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    namespace = f"t{secrets.token_hex(8)}"
    pavane = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=namespace,
        PAVANE_APP=APP,
        CLI_SHOP_POISON="none",
    )
    with pavane.running() as workers:
        workers.wait_until_ready()
        for order, item in (("1", f"!{HOSTILE}"), ("2", f"!!{HOSTILE}"), ("3", "later")):
            pavane.json("start", "orders", "--payload", json.dumps({"order": order, "item": item}))
        asyncio.run(send_garbage(rabbit.url, Names(namespace)))
        letters: list[str] = []
        while len(letters) < 2 or not retrying(pavane):
            letters = [letter["id"] for letter in pavane.json("dlq", "ls")["items"]]
        workers.stop()
    said = ("--by", HOSTILE, "--reason", HOSTILE, "--yes")
    for words in (("pause", "orders:2"), ("resume", "orders:2"), ("deadline", "orders:2", "2d")):
        done = pavane("runs", *words, *(said if words[0] != "resume" else ("--by", HOSTILE, "--yes")))
        assert done.code == 0, done
        assert_tame(("runs", *words), done)
    return Scene(pavane, tuple(letters))


def retrying(pavane: Pavane) -> bool:
    return bool(pavane.json("runs", "ls", "--waiting-for", "retry")["items"])


async def send_garbage(url: str, names: Names) -> None:
    """A message whose headers and body are hostile, to a worker."""
    connection = await aiormq.connect(url)
    channel = await connection.channel()
    hostile = "".join(char for char in HOSTILE if char != "\x00")
    properties = Basic.Properties(
        headers={"pavane-event": hostile, hostile[:60]: hostile, "x-more": [hostile]},
        message_type=hostile[:60],
    )
    await channel.basic_publish(
        HOSTILE.encode(),
        exchange=names.jobs("stock"),
        routing_key=names.queue("stock", "reserve"),
        properties=properties,
    )
    await connection.close()


def assert_tame(words: tuple[str, ...], done: Done) -> None:
    for stream in (done.out, done.err):
        bad = {char for char in stream if not char.isprintable() and char != "\n"}
        # A traceback of `dlq show` keeps its tabs.
        assert not bad - {"\t"}, (words, bad)
        forged = [line for line in stream.splitlines() if line.startswith(FORGED)]
        assert not forged, (words, forged)
    assert "Traceback" not in done.err, (words, done.err)


def commands(scene: Scene) -> list[tuple[str, ...]]:
    """Every command of the tables that ends, those that change nothing first."""
    known = [*lines(NEED_SERVERS), *VARIANTS, *GRAPHS]
    known += [("dlq", "show", letter) for letter in scene.letters]
    known += [("runs", "show", "orders:2"), ("runs", "history", "orders:2")]
    found: list[tuple[str, ...]] = []
    for words in known:
        if words[0] in ("run", "topology") or "--watch" in words or "--wait" in words:
            continue  # these do not end, or print nothing but what definitions say
        words = tuple(scene.letters[0] if word == LETTER else word for word in words)
        if words[:2] == ("runs", "watch"):
            words = ("runs", "watch", RUN, "--timeout", "0.5")
        found.append(words)
    return sorted(found, key=lambda words: not set(LOOKS_FIRST) & set(words[:2]))


def test_on_a_terminal_too_only_what_is_printable_arrives(scene: Scene) -> None:
    for words in (
        ("runs", "show", RUN),
        ("runs", "show", "orders:2"),
        ("runs", "history", RUN),
        ("dlq", "ls"),
    ):
        primary, secondary = pty.openpty()
        # A dumb terminal is shown no colours: every escape would be the data's.
        environment = scene.pavane.environment | {"TERM": "dumb", "COLUMNS": "80"}
        process = subprocess.Popen(
            [sys.executable, "-m", "pavane.cli", *words],
            cwd=ROOT,
            env=environment,
            stdout=secondary,
            stderr=secondary,
        )
        os.close(secondary)
        said = read_all(primary)
        assert process.wait() == 0
        assert_tame(words, Done(0, said.replace("\r\n", "\n"), ""))
        assert "red" in said


def test_no_command_prints_what_a_terminal_would_obey(scene: Scene) -> None:
    shown = ""
    for words in commands(scene):
        done = scene.pavane(*words)
        assert_tame(words, done)
        shown += done.out
    for part in (
        r"\x1b[31mred",
        "[red]markup[/red]",
        "[link=http://evil.example]here[/link]",
        ":bomb:",
        r"\u202e",
    ):
        assert part in shown, part


def test_json_is_printable_ascii_whatever_it_holds(scene: Scene) -> None:
    found = ""
    for words in commands(scene):
        done = scene.pavane(*words, "--json")
        for line in (done.out + done.err).splitlines():
            assert line.isascii(), words
            assert line.isprintable(), words
            found += str(json.loads(line))
    assert repr(HOSTILE)[1:-1] in found, "and nothing is lost"


def read_all(terminal: int) -> str:
    """What was written on the other side until that was closed."""
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # how Linux says that nobody is there any more
            part = b""
        if not part:
            os.close(terminal)
            return b"".join(parts).decode()
        parts.append(part)
