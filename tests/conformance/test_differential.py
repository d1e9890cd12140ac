"""The scripts against the functions they follow: the same calls, every answer and the whole record compared.

The test moves the clock: the scripts' clock fragment, and only that, is replaced by one that reads a key.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
import redis

from pavane.adapters.memory.store import MemoryStore
from pavane.adapters.redis import RedisStore
from pavane.adapters.redis.scripting import load_library
from pavane.core import agenda, answers
from pavane.core.record import Record
from tests.conformance.random_calls import RandomCaller
from tests.conformance.random_material import FRAMEWORK
from tests.servers import RedisServer

SEQUENCES = 220
MOST_SEQUENCES = 3 * SEQUENCES
"""As many more are run if some kind of answer has not been seen by then."""
CALLS = 60
STEPS_OF_TIME = (0, 0, 0, 0, 1, 1, 50, 600, 3_000, 3_001, 25_000)

STATUSES = ("running", "waiting", "stalled", "compensating", "completed", "failed", "compensated")
INDEXES = ("due", "runs", "letters", *(f"status:{status}" for status in STATUSES))

MOVED_CLOCK = """
local Clock = {}
function Clock.now()
  return tonumber(redis.call('GET', string.match(KEYS[1], '^[^:]*') .. ':clock'))
end
"""

EXPECTED = """
begin Granted | begin Granted undo | begin Committed | begin Leased | begin NotYet | begin Stale retry
begin Stale marked | begin Dead | begin Dead unpublished | begin UnknownRun | begin Isolate
begin Exhausted crash_loop | begin Exhausted deadline | begin Refused second_start | begin Refused no_undo
begin Refused discarded | begin Refused run_compensating | begin Refused run_failed | begin Refused run_compensated
commit Committed | commit Committed completed | commit Committed compensating | commit Committed failed
commit Late | commit Fenced | commit_undo Committed | commit_undo Committed compensated | commit_undo Fenced
begin Refused not_edited | edit Edited done | edit Edited gone | edit Edited refused
discard Discarded done | discard Discarded gone | discard Discarded refused | emit Emitted | emit Refused run_completed
emit Refused run_compensating | emit UnknownRun
fail Retrying | fail Dead | fail Recorded | fail Exhausted rejected | fail Exhausted attempts
fail Exhausted deadline | fail Fenced
mark Marked | redrive Redriven publish | redrive Redriven again | redrive Redriven gone | redrive Redriven refused
reject Dead | reject Committed | reject PutBack | reject UnknownRun | reject Stale retry
release Released | release Recorded | release Fenced | renew Renewed | renew Renewed stopping | renew Fenced
start Started created | start Started repeated | start Started conflict | tick rows | tick nothing
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
class Pair:
    """Both stores, and what is compared of them."""

    namespace: str
    clock: MovedClock
    memory: MemoryStore
    tested: RedisStore
    client: redis.Redis
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> dict[str, Record]:
        return self.memory._records

    def clear(self) -> None:
        """Begin again with nothing but the epoch."""
        prefix = f"{self.namespace}:{{s00}}:"
        keys = [key for key in self.keys() if key not in {f"{prefix}epoch", f"{self.namespace}:shards"}]
        if keys:
            self.client.delete(*keys)
        self.memory = MemoryStore(self.clock)
        self.clock.reset()

    def keys(self) -> list[str]:
        return [key.decode() for key in self.client.scan_iter(f"{self.namespace}:*", count=1000)]

    async def make(self, name: str, call: Any) -> None:
        """Make a call on both; the answers must be equal."""
        expected = await getattr(self.memory, name)(call)
        actual = await getattr(self.tested, name)(call)
        assert actual == expected
        self.seen[f"{name} {said(expected)}"] += 1

    async def tick(self, limit: int) -> None:
        expected = await self.memory.tick(0, limit=limit, subscribed=FRAMEWORK)
        actual = await self.tested.tick(0, limit=limit, subscribed=FRAMEWORK)
        assert actual == expected
        self.seen["tick rows" if expected.rows else "tick nothing"] += 1

    async def compare(self, key: str) -> None:
        """The whole record; one whose retention is over is not shown any more."""
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
        own = ("run", "events", "data", "agenda", "waiting", "history")
        for key in self.keys():
            part, _, record = key.removeprefix(prefix).partition(":")
            if part in own:
                assert record in self.records, key
                expires = agenda.expires_at(self.records[record]) if record.startswith("~") else 0
                expected = expires or -1
                assert self.client.pexpiretime(key) == expected, key


def said(answer: Any) -> str:
    """The kind of an answer, as `EXPECTED` has it."""
    name = type(answer).__name__
    match answer:
        case answers.Granted(event=event):
            return f"{name} undo" if event else name
        case answers.Refused(reason=reason) | answers.Exhausted(reason=reason):
            return f"{name} {reason}"
        case answers.Stale(publish=publish):
            return f"{name} {publish or 'marked'}"
        case answers.Dead(publish=publish):
            return name if publish else f"{name} unpublished"
        case answers.Committed(run_ended=ended):
            return f"{name} {ended}".strip()
        case answers.Renewed(stopping=stopping):
            return f"{name} stopping" if stopping else name
        case answers.Started():
            return f"{name} {'conflict' if answer.conflict else 'created' if answer.created else 'repeated'}"
        case (
            answers.Redriven(outcome=outcome)
            | answers.Discarded(outcome=outcome)
            | answers.Edited(outcome=outcome)
        ):
            return f"{name} {outcome}"
        case _:
            return name


async def run_sequence(pair: Pair, seed: str) -> None:
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


def move_clock(pair: Pair, random: Random) -> None:
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
    return "commit_undo" if name == "CommitUndo" else name.lower()


@pytest.mark.timeout(300)
async def test_every_script_answers_and_writes_what_its_function_does(
    redis_server: RedisServer, namespace: str
) -> None:
    seed = os.environ.get("SEED") or str(int(time.time()))
    print(f"SEED={seed}")
    clock = MovedClock(redis_server, namespace)
    tested = RedisStore(
        redis_server.url, namespace=namespace, shards=1, library=load_library({"clock": MOVED_CLOCK})
    )
    pair = Pair(namespace, clock, MemoryStore(clock), tested, redis.Redis.from_url(redis_server.url))
    await tested.open()
    await tested.initialise()
    expected = {kind.strip() for line in EXPECTED.strip().splitlines() for kind in line.split("|")}
    for number in range(MOST_SEQUENCES):
        pair.clear()
        await run_sequence(pair, f"{seed}/{number}")
        if number + 1 >= SEQUENCES and expected <= pair.seen.keys():
            break
    await tested.close()
    print(number + 1, "sequences:", sorted(pair.seen.items()))
    assert expected - pair.seen.keys() == set(), f"never answered with seed {seed}"
