"""Redis's users of `topology export`: pavane does all it does, is refused nothing, and can do no more."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from pavane.adapters.redis.acl import COMMANDS
from tests.integration.cli_runner import APP, ROOT, Pavane
from tests.users import Users, refusals, servers_of


@pytest.fixture(scope="module")
def users() -> Iterator[Users]:
    with servers_of("acl", [APP]) as users:
        yield users


def test_everything_works_and_nothing_is_refused(users: Users, tmp_path: Path) -> None:
    poison = tmp_path / "poison"
    operator = users.operator | {"PAVANE_APP": APP, "CLI_SHOP_POISON": str(poison)}
    state = users.service("stock")["PAVANE_STATE_URL"]
    pavane = Pavane.on(**operator)
    pavane.json("topology", "apply")
    with Pavane.on(**operator | {"PAVANE_STATE_URL": state}).running() as workers:
        workers.wait_until_ready()
        for item, status in (("book", "completed"), ("none", "compensated")):
            words = ("start", "orders", "--payload", _order(item), "--wait", "--timeout", "30")
            assert pavane.json(*words, code=0 if item == "book" else 1)["status"] == status
        poison.touch()
        run = pavane.json("start", "orders", "--payload", _order("poison"))["run"]
        while not any(
            line.get("kind") == "stalled"
            for line in pavane("runs", "watch", run, "--timeout", "0.5", "--json").lines
        ):
            pass
        _look_everywhere(pavane, run)
        poison.unlink()
        pavane.json("runs", "pause", run, "--yes")
        pavane.json("dlq", "redrive", "--all", "--yes")
        pavane.json("runs", "resume", run, "--yes")
        assert pavane("runs", "watch", run, "--timeout", "30", "--json").code == 0
        later = pavane.json("start", "orders", "--payload", _order("later"))["run"]
        pavane.json("runs", "deadline", later, "2d", "--yes")
        pavane.json("runs", "cancel", later, "--yes")
    pavane.json("topology", "verify")
    pavane.json("topology", "prune", "--yes")
    assert refusals(users.redis) == []


def test_every_command_that_a_script_can_call_is_granted() -> None:
    """Some are called once in a month, by a retention that is over."""
    scripts = ROOT / "framework" / "pavane" / "adapters" / "redis" / "scripts"
    called = {
        command.lower()
        for file in scripts.glob("*.lua")
        for command in re.findall(r"redis\.p?call\('([A-Z]+)'", file.read_text())
    }
    assert len(called) > 15
    assert called - set(COMMANDS) == set()


def _order(item: str) -> str:
    return f'{{"order":"{secrets.token_hex(4)}","item":"{item}"}}'


def _look_everywhere(pavane: Pavane, run: str) -> None:
    for order in ("started", "updated"):
        pavane("runs", "ls", "--order-by", order, "--json")
    pavane.json("runs", "ls", "--status", "stalled")
    pavane.json("runs", "show", run)
    pavane.json("runs", "history", run)
    [letter] = pavane.json("dlq", "ls")["items"]
    pavane.json("dlq", "show", letter["id"])
    pavane.json("dlq", "reindex", "--yes")
    assert pavane.json("audit")["items"]
    assert pavane("doctor", "--json").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "SET", "maxmemory", "1mb"),
        ("CONFIG", "GET", "requirepass"),
        ("EVAL", "return 1", "0"),
        ("SHUTDOWN",),
        ("ACL", "LIST"),
        ("FUNCTION", "FLUSH"),
        ("REPLICAOF", "NO", "ONE"),
        ("GET", "other:{s00}:epoch"),
        ("SET", "other:key", "1"),
        ("PUBLISH", "acl:other", "1"),
        ("SUBSCRIBE", "acl:other"),
    ],
    ids=" ".join,
)
def test_it_can_do_nothing_to_the_server_or_another_namespace(users: Users, words: tuple[str, ...]) -> None:
    url = users.service("stock")["PAVANE_STATE_URL"]
    with Redis.from_url(url) as user, pytest.raises(NoPermissionError):
        user.execute_command(*words)
