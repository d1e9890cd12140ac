"""The README's transcript of a process that dies, played on real servers and compared line by line."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
from pathlib import Path

from tests.crash.stage import eventually
from tests.crash.workers import WorkerProcess
from tests.docs.pages import ROOT, blocks
from tests.servers import RabbitServer, RedisServer

README = ROOT / "README.md"
Exchange = tuple[str, list[str]]
"""A command, and the lines that it prints."""


def transcript() -> list[Exchange]:
    """Every command of the README's consoles with what it says it prints."""
    found: list[Exchange] = []
    for block in blocks(README):
        if block.language == "console":
            for line in block.code.splitlines():
                if line.startswith("$ "):
                    found.append((line.removeprefix("$ "), []))
                else:
                    found[-1][1].append(line)
    return found


def plain(line: str) -> str:
    """A line without what differs from one time to the next: times, durations, hosts."""
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", line)
    line = re.sub(r"\b\d+(\.\d+)? m?s\b", "<duration>", line)
    return re.sub(r"  \S+:\d+$", "  <host>", line).rstrip()


async def say(environment: dict[str, str], command: str) -> list[str]:
    """What a command prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pavane.cli", *shlex.split(command)[1:]),
        env=os.environ | environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, command
    return output.decode().splitlines()


async def test_the_transcript_of_the_readme_is_what_happens(
    rabbit: RabbitServer, redis_server: RedisServer, namespace: str, tmp_path: Path
) -> None:
    [shop] = [block for block in blocks(README) if block.complete]
    (tmp_path / shop.file).write_text(shop.code)
    (crash, _), (start, started), (show, waiting), (run, _), (show_again, ended) = transcript()
    environment = {
        "PYTHONPATH": str(tmp_path),
        "PAVANE_BROKER_URL": rabbit.url,
        "PAVANE_STATE_URL": redis_server.url,
        "PAVANE_NAMESPACE": namespace,
        "COLUMNS": "200",
    }
    variable, _, rest = crash.partition(" ")
    name, _, value = variable.partition("=")
    words = shlex.split(rest)[1:]
    victim = WorkerProcess(environment | {name: value}, *words, module="pavane.cli")
    async with victim:
        assert await say(environment, start) == started
        assert await victim.ended() == -signal.SIGKILL
    assert [plain(line) for line in await say(environment, show)] == [plain(line) for line in waiting]
    async with WorkerProcess(environment, *shlex.split(run)[1:], module="pavane.cli") as taker:

        async def completed() -> bool:
            return (await say(environment, show_again))[0].startswith("completed")

        await eventually("the run completed", completed)
        found = [plain(line) for line in await say(environment, show_again)]
        assert found == [plain(line) for line in ended]
        await taker.stop()
