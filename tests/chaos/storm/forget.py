"""Redis forgets: its last writes (a power cut with `everysec`, a failover that was too late), or everything.

Nothing can make good for that (docs/guarantees.md), so these two come alone. After a rewind what was lost may be done
a second time, or hang; it has to be listed then. After FLUSHALL nobody may go on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import hiredis
import redis

from pavane.core.topology import queues_of
from pavane.errors import StateLost
from pavane.runtime.topology import apply
from tests.chaos.storm.field import Field
from tests.chaos.storm.side import Side
from tests.checker.history import read_folder
from tests.proxy.resp import end_of
from tests.servers import RedisServer

FORGOTTEN = (20, 80)
"""Transactions that a rewind takes back."""

OF_RECORD = re.compile(rb"[a-z0-9_]+:\{s\d+\}:(?:run|events|data|waiting|agenda|held|order|history):(.+)")
REFUSED_FOR = 8.0
GOING_ON = ("start", "begin", "commit", "commit_undo", "fail", "ack")
SETTLED_IN = 2.0
"""Seconds in which what was on its way when everything was gone may still arrive."""


@dataclass(frozen=True)
class Unit:
    """A command of the append-only file, or all between MULTI and EXEC: what Redis does as a whole."""

    end: int
    keys: frozenset[bytes]


def units_of(data: bytes) -> Iterator[Unit]:
    """What a file holds, in order; `end` is the place behind each."""
    at, open_, keys = 0, False, set[bytes]()
    while (end := end_of(data, at)) is not None:
        reader = hiredis.Reader()
        reader.feed(data[at:end])
        words: list[bytes] = reader.gets()
        at, name = end, words[0].upper()
        open_ = (open_ or name == b"MULTI") and name != b"EXEC"
        keys.update(words[1:2])
        if not open_:
            yield Unit(end, frozenset(keys))
            keys.clear()


def cut(file: Path, many: int) -> frozenset[str]:
    """Take the last units off the file; the records that they were about."""
    units = list(units_of(file.read_bytes()))
    kept = units[:-many]
    with file.open("r+b") as opened:
        opened.truncate(kept[-1].end if kept else 0)
    found = (OF_RECORD.fullmatch(key) for unit in units[-many:] for key in unit.keys)
    return frozenset(match[1].decode() for match in found if match)


def forget_last(server: RedisServer, many: int) -> frozenset[str]:
    """Kill the server, cut its file, and start it again; the records that have lost something."""
    server.kill()
    [file] = (server.folder / "appendonlydir").glob("*.incr.aof")
    lost = cut(file, many)
    server.start()
    return lost


async def rewind(field: Field, random: Random) -> frozenset[str]:
    """Let Redis forget its last writes while runs go through; the records concerned."""
    with field.struck_by("rewind"):
        return await asyncio.to_thread(forget_last, field.redis, random.randint(*FORGOTTEN))


async def flush(field: Field, start: Callable[[str], Awaitable[object]], sides: Sequence[Side]) -> list[str]:
    """Let Redis forget everything; sentences for whatever went on, and for messages that are gone.

    Args:
        start: starts a run of this id.
    """
    with field.struck_by("flush"):
        before = await waiting(sides)
        await asyncio.to_thread(forget_all, field.redis.url)
        await asyncio.sleep(SETTLED_IN)
        since = time.monotonic_ns()
        wrong = await refusals(start)
        went_on = [
            entry
            for side in sides
            for entry in read_folder(field.folder / side.cast)
            if entry.at > since and entry.type == "ok" and entry.op in GOING_ON
        ]
        after = await waiting(sides)
    wrong += [
        f"{entry.process} went on with {entry.op} of {entry.record or entry.event}" for entry in went_on
    ]
    if after < before:
        wrong.append(f"{before} messages waited before FLUSHALL, and {after} after it")
    return wrong


async def accept(field: Field, sides: Sequence[Side]) -> None:
    """Accept the loss (`topology apply --new-epoch`), and start every process anew: the old ones know the old state.

    Args:
        sides: connected since.
    """
    for side in sides:
        await apply(side.store, side.broker, side.topology, accept_loss=True)
    await asyncio.gather(*(replica.replace() for replica in field.replicas))


async def refusals(start: Callable[[str], Awaitable[object]]) -> list[str]:
    """Ask for runs for some seconds: every start has to be refused, by name."""
    wrong: list[str] = []
    end = time.monotonic() + REFUSED_FOR
    for number in itertools.count():
        if time.monotonic() > end:
            return wrong
        try:
            await start(f"lost{number}")
        except StateLost:
            await asyncio.sleep(0.5)
        else:
            wrong.append(f"run lost{number} was started although the store had lost everything")
    return wrong


async def waiting(sides: Sequence[Side]) -> int:
    """Messages that are ready, in all queues."""
    counts = [count for side in sides for count in await side.broker.count(queues_of(side.topology))]
    return sum(count.ready for count in counts if count is not None)


def forget_all(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushall()
