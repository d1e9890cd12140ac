"""A client in a process of its own, which may be killed: `python -m tests.crash.client start KEY | redrive ID...`."""

from __future__ import annotations

import asyncio
import signal
import sys

from pavane import Client
from tests.crash.program import LONGEST_LIFE, Begun, chain


async def main(what: str, *names: str) -> None:
    async with Client() as client:
        if what == "start":
            await client.start(chain, Begun(key=names[0]))
        else:
            await client.dead_letters.redrive(*names, reason="the test repaired it")


if __name__ == "__main__":
    signal.alarm(LONGEST_LIFE)  # whatever becomes of the tests, this process ends
    asyncio.run(main(*sys.argv[1:]))
