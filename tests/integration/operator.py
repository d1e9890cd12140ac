"""What an operator does beside `pavane`: run the commands that a remedy names, on the servers of a test."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.integration.cli_runner import APP, Done, Pavane
from tests.servers import RabbitServer, RedisServer

PROGRAMS = ("pavane", "rabbitmqctl", "rabbitmqadmin", "redis-cli", "timedatectl")


@dataclass(frozen=True)
class Operator:
    """Somebody on call, with these two servers."""

    pavane: Pavane
    rabbit: RabbitServer
    redis: RedisServer

    def doctor(self, check: str, *words: str, on: Pavane | None = None) -> dict[str, Any]:
        """What doctor finds for one of its checks."""
        done = (on or self.pavane)("doctor", "--json", *words)
        [found] = [one for one in done.document["checks"] if one["name"] == check]
        assert done.code in (0, 1), done
        assert (done.code == 1) == (not done.document["ok"])
        return dict(found)

    def follow(self, remedy: str) -> None:
        """Run every command of a remedy."""
        for words in commands(remedy):
            self.run(words)

    def run(self, words: list[str]) -> str:
        match words[0]:
            case "pavane":
                given = [APP if word == "APP" else word for word in words[1:]]
                done: Done = self.pavane(*given, *(["--yes"] if "apply" in given else []))
                # Who only looks may be told that something is pending.
                assert done.code in ((0, 1) if {"plan", "verify"} & set(given) else (0,)), done
                return done.out
            case "rabbitmqctl":
                return self.rabbit.rabbitmqctl(*words[1:])
            case "redis-cli":
                program = shutil.which("redis-cli")
                assert program
                said = subprocess.run(
                    [program, "-p", str(self.redis.port), *words[1:]],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                assert said.strip() == "OK", said
                return said
            case program:
                raise AssertionError(f"{program} is not run in a test")


def commands(remedy: str) -> list[list[str]]:
    """The commands in a remedy: what stands between backticks. Each is one of a program that operators have."""
    found = [shlex.split(quoted) for quoted in re.findall(r"`([^`]+)`", remedy)]
    assert found, f"it names no command: {remedy}"
    for words in found:
        assert words[0] in PROGRAMS, words
    return found
