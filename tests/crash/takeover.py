"""Plays one case: a process dies at a point, what it leaves is looked at, another takes over, the end is looked at."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path

from pavane import RunStatus
from pavane.core.record import StepRow, Work
from tests.crash.cases import Case
from tests.crash.ledger import Entry
from tests.crash.stage import Stage, eventually, set_up
from tests.crash.workers import READY_WITHIN

KEY = "k"
HIT = "line.second"
NEXT = {"step": "line.third", "undo": "line.first"}
VICTIM = {"step": ("line.first", "line.second"), "undo": ("line.second", "line.third")}


@dataclass(kw_only=True)
class Left:
    """What the dead process left behind."""

    exit: int
    row: StepRow | None
    work: Work | None
    outbox: list[str]
    letters: int
    ledger: list[Entry]


@dataclass(kw_only=True)
class Played:
    """Everything the test judges."""

    case: Case
    left: Left
    indexed: int = 0
    letters_in_queue: int = 0
    status: RunStatus
    row: StepRow
    work: Work
    outcomes: list[str | None]
    ledger: list[Entry]
    next_events: list[str]
    full_queues: dict[str, int]
    letters_left: int
    redriven: list[int] = field(default_factory=list)


async def play(case: Case, broker_url: str, state_url: str, folder: Path) -> Played:
    """Play a case on these servers.

    Raises:
        AssertionError: it did not come as far as to be judged.
    """
    async with set_up(broker_url, state_url, folder) as stage:
        await stage.prepare()
        left = await die(stage, case)
        taker = stage.process()
        async with taker:
            indexed = waiting = 0
            if case.paused:
                await go_on(stage)
            if case.redriven:
                indexed, waiting = await redrive(stage)
            status = await stage.ending(KEY)
            await closing_steps_ended(stage)
            await stage.nothing_waits()
            await taker.stop()
        return await remains(stage, case, left, status, indexed, waiting)


async def die(stage: Stage, case: Case) -> Left:
    """Run until the process has killed itself, and wait until the broker has everything back."""
    await stage.begin_run(KEY, **case.ask)
    if case.kind == "undo" or case.paused:
        await done_before(stage, "line.first", stage.queue(HIT))
    if case.paused:
        await pause(stage, case)
    code = await dies(stage, *VICTIM[case.kind], crash=case.crash)
    await returned(stage, case)
    record = await stage.record(KEY)
    row = await stage.row(KEY, HIT)
    return Left(
        exit=code,
        row=row,
        work=row.of(case.kind) if row else None,
        outbox=sorted(record.outbox),
        letters=await stage.ready_in(stage.dead_letter_queue(HIT)),
        ledger=stage.ledger.entries(),
    )


async def dies(stage: Stage, *only: str, crash: str, module: str = "tests.crash.program") -> int:
    """Run a process until it has killed itself, which may be before it is ready; its exit code."""
    victim = stage.process(*only, crash=crash, module=module)
    try:
        await victim.launch()
        code = await victim.ended(READY_WITHIN + 30)
        assert code == -signal.SIGKILL, f"it ended with {code}:\n{victim.log}"
        return code
    finally:
        await victim.close()


async def done_before(stage: Stage, worker: str, next_queue: str) -> None:
    """Have a step done by a process of its own, so that neither it nor its undo is the victim's."""
    async with stage.process(worker) as before:

        async def done() -> bool:
            return await stage.ready_in(next_queue) == 1

        await eventually(f"{worker} is done", done)
        await before.stop()


async def pause(stage: Stage, case: Case) -> None:
    """Pause the run when the job that is hit waits in its queue."""
    if case.kind == "undo":
        await done_before(stage, HIT, stage.queue("line.third"))
        await done_before(stage, "line.third", stage.queue(HIT, "undo"))
    await stage.client.run(f"chain:{KEY}").pause("the test pauses it")


async def go_on(stage: Stage) -> None:
    """Resume the run when the delivery that came back is held with it, once."""

    async def held() -> bool:
        jobs = [job for job in (await stage.record(KEY)).held.values() if job.worker == HIT]
        return len(jobs) == 1 and not await stage.full_queues()

    await eventually("the delivery is held, once, and in no queue", held)
    await stage.client.run(f"chain:{KEY}").resume()


async def returned(stage: Stage, case: Case) -> None:
    """Wait until what the dead process held is back in the queues, as many as the case says."""
    queue = stage.queue(HIT, case.kind)
    follower = stage.queue(NEXT[case.kind], case.kind)

    async def counts() -> tuple[int, int]:
        return await stage.ready_in(queue, *stage.wheel()), await stage.ready_in(follower)

    async def as_expected() -> bool:
        waiting, following = await counts()
        return case.waiting in (-1, waiting) and case.published in (None, following == 1)

    try:
        await eventually("the dead process's messages are back", as_expected, 10)
    except AssertionError:
        raise AssertionError(f"waiting and following: {await counts()}, not {case}") from None


async def redrive(stage: Stage) -> tuple[int, int]:
    """Wait for the letter, in index and queue; count it in both; send the job back."""
    letters = stage.client.dead_letters

    async def settled() -> bool:
        work = await stage.work(KEY, HIT, "undo" if await is_undo(stage) else "step")
        queued = await stage.ready_in(stage.queue(HIT), stage.queue(HIT, "undo"), *stage.wheel())
        return work is not None and not work.unpublished and queued == 0

    await eventually("the letter is published, and marked", settled)
    indexed = await letters.list(worker=HIT).all()
    waiting = await stage.ready_in(stage.dead_letter_queue(HIT))
    report = await letters.redrive(*(letter.id for letter in indexed), reason="the test repaired it")
    assert report.done == len(indexed), report
    return len(indexed), waiting


async def is_undo(stage: Stage) -> bool:
    row = await stage.row(KEY, HIT)
    return row is not None and row.undo is not None


async def closing_steps_ended(stage: Stage) -> None:
    async def told() -> bool:
        row = await stage.row(KEY, "line.told")
        return row is not None and row.committed

    await eventually("the closing step is committed", told)


async def remains(
    stage: Stage, case: Case, left: Left, status: RunStatus, indexed: int, waiting: int
) -> Played:
    """Look at everything after the second process has stopped."""
    row = await stage.row(KEY, HIT)
    work = row.of(case.kind) if row else None
    assert row is not None
    assert work is not None
    follower = NEXT[case.kind] if case.kind == "step" else f"undo:{NEXT[case.kind]}"
    return Played(
        case=case,
        left=left,
        indexed=indexed,
        letters_in_queue=waiting,
        status=status,
        row=row,
        work=work,
        outcomes=await stage.outcomes(KEY, HIT, case.kind),
        ledger=stage.ledger.entries(),
        next_events=[entry.event for entry in stage.ledger.starts(follower)],
        full_queues=await stage.full_queues(),
        letters_left=await stage.client.dead_letters.list().count(),
    )
