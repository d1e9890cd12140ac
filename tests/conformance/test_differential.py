"""The scripts against the functions they follow: the same calls, every answer and the whole record compared.

The test moves the clock: the scripts' clock fragment is replaced by one that reads a key. Beside it only the number
of jobs that are released at once is another, on both sides.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
import redis

from pavane.adapters.memory.store import MemoryStore
from pavane.adapters.redis import RedisStore
from pavane.adapters.redis.scripting import FOLDER, load_library
from pavane.core import agenda, pausing
from pavane.core.record import Record
from pavane.ports.store import Tick
from tests.conformance.random_calls import RandomCaller
from tests.conformance.random_material import FRAMEWORK
from tests.conformance.reached import EXPECTED, found_in, said
from tests.servers import RedisServer

SEQUENCES = 220
MOST_SEQUENCES = 20 * SEQUENCES
"""If something expected has not been seen by then, of so many those are compared that reach it in a rehearsal."""
CALLS = 60
AT_ONCE = 2
"""Held jobs that are released at once: a hundred would never come together here."""
STEPS_OF_TIME = (0, 0, 0, 0, 1, 1, 50, 600, 3_000, 3_001, 25_000)

STATUSES = (
    *("running", "waiting", "paused", "stalled", "compensating"),
    *("completed", "failed", "compensated", "cancelled"),
)
INDEXES = ("due", "runs", "letters", *(f"status:{status}" for status in STATUSES))

MOVED_CLOCK = """
local Clock = {}
function Clock.now()
  return tonumber(redis.call('GET', string.match(KEYS[1], '^[^:]*') .. ':clock'))
end
"""


class MovedClock:
    """The clock of both stores."""

    def __init__(self, server: RedisServer, namespace: str) -> None:
        self._client = redis.Redis.from_url(server.url)
        self._key = f"{namespace}:clock"
        self.reset()

    def reset(self) -> None:
        self.set(int(time.time() * 1000))  # near the truth, because the server judges expiries by its own

    def set(self, at: int) -> None:
        self._time = at
        self._client.set(self._key, at)

    def now(self) -> int:
        return self._time

    def call_at(self, at: int, callback: Any) -> Any:
        raise AssertionError("the store does not wait")

    async def sleep(self, duration: int) -> None:
        raise AssertionError("the store does not wait")


@dataclass
class Rehearsal:
    """A sequence in memory alone, to know what it reaches."""

    clock: MovedClock
    memory: MemoryStore
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> dict[str, Record]:
        return self.memory._records

    def clear(self) -> None:
        """Begin again."""
        self.memory = MemoryStore(self.clock)
        self.clock.reset()

    async def make(self, name: str, call: Any) -> Any:
        answer = await getattr(self.memory, name)(call)
        self.seen[f"{name} {said(answer)}"] += 1
        return answer

    async def tick(self, limit: int) -> Tick:
        tick = await self.memory.tick(0, limit=limit, subscribed=FRAMEWORK)
        kinds: set[str] = {row.kind for row in tick.rows}
        self.seen.update(f"tick {kind}" for kind in kinds or {"nothing"})
        return tick

    async def compare(self, key: str) -> None:
        found = self.records.get(key)
        self.seen.update(f"seen {what}" for what in (found_in(found) if found else ()))

    def compare_indexes(self) -> None:
        """There are none."""

    def compare_keys(self) -> None:
        """Nor keys."""


@dataclass(kw_only=True)
class Pair(Rehearsal):
    """Both stores, and what is compared of them."""

    namespace: str
    tested: RedisStore
    client: redis.Redis

    def clear(self) -> None:
        """Begin again with nothing but the epoch."""
        prefix = f"{self.namespace}:{{s00}}:"
        keys = [key for key in self.keys() if key not in {f"{prefix}epoch", f"{self.namespace}:shards"}]
        if keys:
            self.client.delete(*keys)
        super().clear()

    def keys(self) -> list[str]:
        return [key.decode() for key in self.client.scan_iter(f"{self.namespace}:*", count=1000)]

    async def make(self, name: str, call: Any) -> Any:
        """Make a call on both; the answers must be equal."""
        expected = await super().make(name, call)
        assert await getattr(self.tested, name)(call) == expected
        return expected

    async def tick(self, limit: int) -> Tick:
        expected = await super().tick(limit)
        assert await self.tested.tick(0, limit=limit, subscribed=FRAMEWORK) == expected
        return expected

    async def compare(self, key: str) -> None:
        """The whole record; one whose retention is over is not shown any more."""
        await super().compare(key)
        found = self.records.get(key)
        over = found is not None and 0 < agenda.expires_at(found) <= self.clock.now()
        assert await self.tested.read(key) == (None if over else found)

    def compare_indexes(self) -> None:
        """What the shard's indexes say, against what the records would have there."""
        expected: dict[str, dict[str, int]] = {name: {} for name in INDEXES}
        for key, record in self.records.items():
            if due := agenda.due_at(record):
                expected["due"][key] = due
            if record.head.is_run:
                expected["runs"][key] = record.head.started_at
                expected[f"status:{agenda.status_of(record)}"][key] = record.head.started_at
            expected["letters"] |= {letter.id: letter.dead_at for letter in record.letters.values()}
        pipeline = self.client.pipeline(transaction=False)
        for name in INDEXES:
            pipeline.zrange(f"{self.namespace}:{{s00}}:{name}", 0, -1, withscores=True)
        for name, members in zip(INDEXES, pipeline.execute(), strict=True):
            assert {member.decode(): int(score) for member, score in members} == expected[name], name

    def compare_keys(self) -> None:
        """Nothing is left of records that are gone; what belongs to no run ends by itself when it can."""
        prefix = f"{self.namespace}:{{s00}}:"
        own = ("run", "events", "data", "agenda", "waiting", "history", "held", "order")
        for key in self.keys():
            part, _, record = key.removeprefix(prefix).partition(":")
            if part in own:
                assert record in self.records, key
                expires = agenda.expires_at(self.records[record]) if record.startswith("~") else 0
                expected = expires or -1
                assert self.client.pexpiretime(key) == expected, key


async def run_sequence(pair: Rehearsal, seed: str) -> None:
    """One random sequence of calls, compared after each."""
    random = Random(seed)
    caller = RandomCaller(random, lambda: pair.records)
    past: list[Any] = []
    trace: list[str] = []
    try:
        for _ in range(CALLS):
            if random.random() < 0.5:
                move_clock(pair, random)
                trace.append(f"at {pair.clock.now()}")
            if random.random() < 0.12:
                trace.append("tick")
                await pair.tick(random.choice((1, 100)))
                for key in [*pair.records, "flow:a"]:
                    await pair.compare(key)
            else:
                call = repeat(random, past) if past and random.random() < 0.12 else caller.next()
                past.append(call)
                trace.append(repr(call))
                await pair.make(method(call), call)
                await pair.compare(call.record)
            pair.compare_indexes()
        pair.compare_keys()
    except AssertionError as difference:
        calls = "\n".join(trace)
        raise AssertionError(f"seed {seed}\n{calls}\n{difference}") from difference


def move_clock(pair: Rehearsal, random: Random) -> None:
    """A little, to the next thing that is due, or sometimes far."""
    now, due = pair.clock.now(), pair.memory.next_due()
    choice = random.random()
    if choice < 0.25 and due > now:
        pair.clock.set(due + random.choice((-1, 0, 1)))
    elif choice < 0.27:
        pair.clock.set(now + 8 * 86_400_000)
    else:
        pair.clock.set(now + random.choice(STEPS_OF_TIME))


def repeat(random: Random, past: list[Any]) -> Any:
    """A call that was made before, as it was or by another process with other subscriptions."""
    call = random.choice(past[-4:])
    return call if random.random() < 0.8 else replace(call, subscribed=())


def method(call: Any) -> str:
    name = type(call).__name__
    return {"CommitUndo": "commit_undo", "MoveDeadline": "move_deadline"}.get(name, name.lower())


@pytest.mark.timeout(300)
async def test_every_script_answers_and_writes_what_its_function_does(
    redis_server: RedisServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = os.environ.get("SEED") or str(int(time.time()))
    print(f"SEED={seed}")
    monkeypatch.setattr(pausing, "RELEASED_AT_ONCE", AT_ONCE)
    pausing_script = (FOLDER / "pausing.lua").read_text(encoding="utf-8")
    few_at_once = re.sub(r"(RELEASED_AT_ONCE =) \d+", rf"\1 {AT_ONCE}", pausing_script)
    clock = MovedClock(redis_server, namespace)
    tested = RedisStore(
        redis_server.url,
        namespace=namespace,
        shards=1,
        library=load_library({"clock": MOVED_CLOCK, "pausing": few_at_once}),
    )
    pair = Pair(
        clock=clock,
        memory=MemoryStore(clock),
        namespace=namespace,
        tested=tested,
        client=redis.Redis.from_url(redis_server.url),
    )
    await tested.open()
    await tested.initialise()
    compared = 0
    for number in range(MOST_SEQUENCES):
        missing = EXPECTED - pair.seen.keys()
        if number < SEQUENCES or (missing and missing & await reached(clock, f"{seed}/{number}")):
            pair.clear()
            await run_sequence(pair, f"{seed}/{number}")
            compared += 1
    await tested.close()
    print(compared, "sequences:")
    print("\n".join(f"{count} {kind}" for kind, count in sorted(pair.seen.items())))
    assert EXPECTED - pair.seen.keys() == set(), f"never seen with seed {seed}"


async def reached(clock: MovedClock, seed: str) -> set[str]:
    """What a sequence would reach."""
    rehearsal = Rehearsal(clock=clock, memory=MemoryStore(clock))
    rehearsal.clear()
    await run_sequence(rehearsal, seed)
    return set(rehearsal.seen)
