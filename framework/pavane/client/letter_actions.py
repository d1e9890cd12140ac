"""What can be done with a dead letter that is in hand: its job's next life, or its end.

Each action can also be foreseen, on a copy of the record, by the very function that would decide it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from pavane.client.means import Means
from pavane.core import letters
from pavane.core.answers import Discarded, Redriven
from pavane.core.calls import CopyMark, Discard, Mark, Redrive
from pavane.core.envelope import STEP, WAIT_UNTIL, copy_headers
from pavane.core.record import JobKind, Record
from pavane.ports.broker import Message, ToQueue, Unroutable

AT_ONCE: Final = 100
"""Letters in hand. The publisher has so many publishes in flight, and what a pass that dies leaves twice is bounded."""

Settled: TypeAlias = Literal["done", "gone"] | tuple[Literal["refused"], str]
"""`done` and `gone` (dealt with elsewhere): the message may go; *refused*: it stays, for that reason."""


@dataclass(frozen=True, slots=True)
class InHand:
    """A letter taken from its queue: what it says of itself, and the record it belongs to."""

    letter: str
    record: str
    worker: str
    step: str
    kind: JobKind
    generation: int
    message: Message


@dataclass(slots=True)
class Outcomes:
    """What became of the letters: the ids that were dealt with, and why others were not."""

    done: set[str] = field(default_factory=set[str])
    skipped: dict[str, str] = field(default_factory=dict[str, str])

    def note(self, letter: str, settled: Settled) -> None:
        if settled == "done":
            self.done.add(letter)
            self.skipped.pop(letter, None)
        elif letter not in self.done:
            self.skipped[letter] = "it was dealt with elsewhere" if settled == "gone" else settled[1]


class LetterAction(Protocol):
    """Something done to many letters, some of them side by side."""

    @property
    def at_once(self) -> int:
        """How many letters may be in hand at a time."""
        ...

    async def settle(self, hand: InHand) -> Settled:
        """Do it. Doing it again, after an error, is harmless."""
        ...

    async def conclude(self) -> None:
        """Do what is done together for those that were in hand, before any of their messages is acknowledged."""
        ...

    def foresee(self, record: Record, hand: InHand, now: int) -> Settled:
        """What `settle` would say, if nothing changes until then. Writes nothing."""
        ...


class Redriving:
    """Gives a letter's job another life: recorded first, then published with confirm, then marked.

    Args:
        pass_id: names the pass.
        force: also letters that `on_exhausted` has answered.
        rate: at most so many a second; `None`: as fast as it goes.
    """

    def __init__(
        self,
        means: Means,
        pass_id: str,
        *,
        force: bool = False,
        by: str = "",
        reason: str = "",
        rate: float | None = None,
    ) -> None:
        self._means = means
        self._pass_id = pass_id
        self._force = force
        self._by = by
        self._reason = reason
        self._pause = round(1000 / rate) if rate else 0
        self._next_at = 0
        self._known: set[str] = set()
        self._asking = asyncio.Lock()
        self._marks: list[tuple[Mark, InHand]] = []

    @property
    def at_once(self) -> int:
        return 1 if self._pause else AT_ONCE

    async def settle(self, hand: InHand) -> Settled:
        queue = job_queue(self._means, hand)
        if not await self._exists(queue):
            return "refused", f"{queue} does not exist"
        await self._keep_rate()
        answer = await self._means.store.redrive(self._call(hand))
        settled = _of_redrive(answer)
        if settled != "done":
            return settled
        self._means.passed("redrive", hand.worker, hand.kind)
        try:
            await self._means.broker.publish(_next_copy(hand, answer.generation), ToQueue(queue))
        except Unroutable:
            return "refused", f"{queue} does not exist"
        self._means.passed("redrive_publish", hand.worker, hand.kind)
        done = CopyMark(step=hand.step, kind=hand.kind, generation=answer.generation)
        self._marks.append((Mark(record=hand.record, copies=(done,)), hand))
        return "done"

    async def conclude(self) -> None:
        marks, self._marks = self._marks, []
        if marks:
            await self._means.store.mark_all([mark for mark, _ in marks])
        for _, hand in marks:
            self._means.passed("redrive_mark", hand.worker, hand.kind)

    def foresee(self, record: Record, hand: InHand, now: int) -> Settled:
        return _of_redrive(letters.redrive(record, self._call(hand), now)[1])

    def _call(self, hand: InHand) -> Redrive:
        return Redrive(
            record=hand.record,
            letter=hand.letter,
            step=hand.step,
            kind=hand.kind,
            generation=hand.generation,
            pass_id=self._pass_id,
            force=self._force,
            by=self._by,
            reason=self._reason,
        )

    async def _exists(self, queue: str) -> bool:
        """Asked once, before anything is recorded: a job must not be sent where nothing takes it."""
        if queue not in self._known:
            async with self._asking:
                if queue not in self._known and await self._means.broker.count([queue]) != [None]:
                    self._known.add(queue)
        return queue in self._known

    async def _keep_rate(self) -> None:
        now = self._means.clock.now()
        if self._pause and self._next_at > now:
            await self._means.clock.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._pause


class Discarding:
    """Drops a letter for good.

    Args:
        subscribed: pavane's own events that somebody subscribes to.
        then: what becomes of a live run that waits for the letter; empty: such a letter is kept.
    """

    def __init__(
        self,
        means: Means,
        subscribed: tuple[str, ...],
        *,
        then: Literal["", "compensate", "leave"],
        by: str,
        reason: str,
    ) -> None:
        self._means = means
        self._subscribed = subscribed
        self._then: Literal["", "compensate", "leave"] = then
        self._by = by
        self._reason = reason

    @property
    def at_once(self) -> int:
        return AT_ONCE

    async def conclude(self) -> None:
        """Each was done by itself."""

    async def settle(self, hand: InHand) -> Settled:
        answer = await self._means.store.discard(self._call(hand))
        await self._means.publish(hand.record, answer.rows)
        return _of_discard(answer)

    def foresee(self, record: Record, hand: InHand, now: int) -> Settled:
        return _of_discard(letters.discard(record, self._call(hand), now)[1])

    def _call(self, hand: InHand) -> Discard:
        return Discard(
            record=hand.record,
            subscribed=self._subscribed,
            letter=hand.letter,
            step=hand.step,
            kind=hand.kind,
            generation=hand.generation,
            then=self._then,
            by=self._by,
            reason=self._reason,
        )


def job_queue(means: Means, hand: InHand) -> str:
    """The queue that a redriven letter goes back to."""
    service, _, name = hand.worker.partition(".")
    if hand.kind == "undo":
        return means.names.undo_queue(service, name)
    return means.names.queue(service, name)


def _next_copy(hand: InHand, generation: int) -> Message:
    headers = copy_headers(hand.message.headers, generation)
    headers.pop(WAIT_UNTIL, None)  # a version nobody knew is waited for anew
    if hand.kind == "step":
        headers.pop(STEP, None)
    return Message(body=hand.message.body, headers=headers, content_type=hand.message.content_type)


def _of_redrive(answer: Redriven) -> Settled:
    match answer.outcome:
        case "publish" | "again":
            return "done"
        case "gone":
            return "gone"
        case "refused":
            return "refused", answer.reason


def _of_discard(answer: Discarded) -> Settled:
    return ("refused", answer.reason) if answer.outcome == "refused" else answer.outcome
