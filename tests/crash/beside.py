"""What dies beside a job's own way: the relay, a client, an operator's redrive, a worker with what it cannot read.

Each function plays one crash point: it has a process die there, looks at what is left, lets another take over, and
looks again. They raise AssertionError.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from pavane import Client
from pavane.core.record import JobKind
from pavane.core.topology import DELIVERY_LIMIT
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Address, Message, ToQueue
from tests.crash.dropping import take_and_drop
from tests.crash.program import Begun, chain
from tests.crash.stage import Stage, clock, eventually, set_up
from tests.crash.takeover import KEY, closing_steps_ended, dies, done_before

FIRST, SECOND = "line.first", "line.second"
LOCKED_FOR = 30.0
"""Seconds that the pass of an operator who died keeps the next one out (client.dead_letters)."""
CLAIMED_FOR = 25.0
"""Seconds that the shards of a relay that died keep the next one out (runtime.relay)."""


class Silent:
    """A broker that takes nothing: what a client has written is left to the relay."""

    async def publish(self, message: Message, address: Address) -> None:
        raise BrokerUnavailable("the test lets nothing through")


async def the_relay(broker: str, state: str, folder: Path, *, crash: str, kind: JobKind) -> None:
    """A starting event, or the wake-up of an undo, that only the relay can still publish."""
    async with set_up(broker, state, folder) as stage:
        await stage.prepare()
        mute = Client.over(stage.store, Silent(), settings=stage.settings, clock=clock())  # type: ignore[arg-type]
        if kind == "undo":
            await stage.begin_run(KEY)
            await done_before(stage, FIRST, stage.queue(SECOND))
            await mute.run(chain, KEY).cancel("the test cancels it")
        else:
            await mute.start(chain, Begun(key=KEY))
        assert len((await stage.record(KEY)).outbox) == 1
        await dies(stage, "loose.heard", crash=crash)
        row, message = {"relay_tick": (1, 0), "relay_publish": (1, 1), "relay_mark": (0, 1)}[point(crash)]
        assert len((await stage.record(KEY)).outbox) == row
        assert await stage.ready_in(stage.queue(FIRST, kind)) == message
        async with stage.process() as taker:
            assert (await stage.ending(KEY)).status == ("cancelled" if kind == "undo" else "completed")
            await nothing_is_left(stage)
            await taker.stop()
        once(stage, FIRST)
        if kind == "undo":
            once(stage, f"undo:{FIRST}")


async def a_start(broker: str, state: str, folder: Path, *, crash: str) -> None:
    """A client that starts a run; its application starts it again when it is back."""
    async with set_up(broker, state, folder) as stage:
        await stage.prepare()
        await dies(stage, "start", KEY, crash=crash, module="tests.crash.client")
        row, message = {"client_write": (1, 0), "client_publish": (1, 1), "client_mark": (0, 1)}[point(crash)]
        assert len((await stage.record(KEY)).outbox) == row
        assert await stage.ready_in(stage.queue(FIRST)) == message
        again = await stage.client.start(chain, Begun(key=KEY))
        assert not again.created
        async with stage.process() as taker:
            assert (await stage.ending(KEY)).status == "completed"
            await nothing_is_left(stage)
            await taker.stop()
        once(stage, FIRST)


async def a_redrive(broker: str, state: str, folder: Path, *, crash: str, kind: JobKind) -> None:
    """An operator's pass; the operator repeats the command, with the same ids."""
    async with set_up(broker, state, folder) as stage:
        await stage.prepare()
        letters, generation = await died_of_it(stage, kind)
        await dies(stage, "redrive", *letters, crash=crash, module="tests.crash.client")
        work = await stage.work(KEY, SECOND, kind)
        assert work is not None
        unmarked, copies = {
            "redrive": ("retry", 0),
            "redrive_publish": ("retry", 1),
            "redrive_mark": ("", 1),
        }[point(crash)]
        assert (work.generation, work.unpublished) == (generation + 1, unmarked)
        assert await stage.ready_in(stage.queue(SECOND, kind)) == copies
        await has(stage, stage.dead_letter_queue(SECOND), 1)
        async with stage.process() as taker:
            await repeated(stage, letters)
            assert (await stage.ending(KEY)).status == ("compensated" if kind == "undo" else "completed")
            await closing_steps_ended(stage)
            await nothing_is_left(stage)
            await taker.stop()
        assert await stage.outcomes(KEY, SECOND, kind) == ["failed", "failed", "failed", "committed"]
        assert await stage.client.dead_letters.list().count() == 0


async def died_of_it(stage: Stage, kind: JobKind) -> tuple[list[str], int]:
    """Have the second step, or its undo, dead-lettered by processes that are gone; the letters, its generation."""
    ask = {"third": "break", "undo_second": "fail:3"} if kind == "undo" else {"second": "fail:3"}
    await stage.begin_run(KEY, **ask)
    async with stage.process() as process:

        async def safe() -> bool:
            work = await stage.work(KEY, SECOND, kind)
            return work is not None and work.failures == 3 and not work.unpublished

        await eventually("its letter is published, and marked", safe)
        await process.stop()
    work = await stage.work(KEY, SECOND, kind)
    assert work is not None
    return [letter.id async for letter in stage.client.dead_letters.list()], work.generation


async def repeated(stage: Stage, letters: list[str]) -> None:
    """Redrive once more, as soon as the dead pass keeps nobody out."""

    async def through() -> bool:
        await stage.client.dead_letters.redrive(*letters, reason="again")
        return await stage.ready_in(stage.dead_letter_queue(SECOND)) == 0

    await eventually("the letter has left its queue", through, LOCKED_FOR + 15)


async def what_cannot_be_read(broker: str, state: str, folder: Path, *, crash: str) -> None:
    """A worker that dies between the letter's record, its message and the acknowledgement."""
    async with set_up(broker, state, folder) as stage:
        await stage.prepare()
        await stage.broker.publish(Message(b"nonsense"), ToQueue(stage.queue(SECOND)))
        await dies(stage, SECOND, crash=crash)
        letters, published = stage.client.dead_letters, int(point(crash) == "dead_published")
        assert await letters.list().count() == 1
        assert await stage.ready_in(stage.dead_letter_queue(SECOND)) == published
        await has(stage, stage.queue(SECOND), 1)
        async with stage.process() as taker:
            # Not marked, so published again, under its id; the index has it once.
            await has(stage, stage.dead_letter_queue(SECOND), 1 + published)
            await has(stage, stage.queue(SECOND), 0)
            await taker.stop()
        assert await letters.list().count() == 1
        assert (await letters.discard(everything=True, reason="nonsense")).done == 1
        assert await stage.full_queues() == {}
        assert stage.ledger.entries() == []


def point(crash: str) -> str:
    return crash.partition(":")[0]


async def what_the_broker_gives_up(broker: str, state: str, folder: Path, *, crash: str) -> None:
    """An intake that dies between a given-up job's letter, its message and the acknowledgement.

    The first time the job is put back, because it never began; the second time it is a letter.
    """
    async with set_up(broker, state, folder) as stage:
        await stage.prepare()
        await stage.begin_run(KEY)
        dying = asyncio.create_task(dies(stage, "line.told", crash=crash))
        for _ in range(2):
            await take_and_drop(stage, stage.queue(FIRST), DELIVERY_LIMIT + 1)
        await dying
        letters, published = stage.client.dead_letters, int(point(crash) == "dead_published")
        assert [letter.reason async for letter in letters.list()] == ["delivery_limit"]
        assert await stage.ready_in(stage.dead_letter_queue(FIRST)) == published
        async with stage.process() as taker:
            await has(stage, stage.dead_letter_queue(FIRST), 1 + published)
            await has(stage, stage.names.intake("line"), 0)
            assert (await letters.redrive(everything=True)).done == 1
            assert (await stage.ending(KEY)).status == "completed"
            await nothing_is_left(stage)
            await taker.stop()
        once(stage, FIRST)
        assert await letters.list().count() == 0


async def has(stage: Stage, queue: str, messages: int) -> None:
    async def so() -> bool:
        return await stage.ready_in(queue) == messages

    await eventually(f"{messages} messages in {queue}", so)


async def nothing_is_left(stage: Stage) -> None:
    async def marked() -> bool:
        return not (await stage.record(KEY)).outbox

    await eventually("every row is marked", marked, CLAIMED_FOR + 30)
    await stage.nothing_waits()


def once(stage: Stage, worker: str) -> None:
    """Its handler ran once, whatever was published twice."""
    assert [len(stage.ledger.starts(worker)), len(stage.ledger.ends(worker))] == [1, 1]
