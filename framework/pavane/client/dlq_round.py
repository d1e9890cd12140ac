"""One round of a dead-letter queue: each message is looked at once, and settled or put back at the tail.

The letters that are wanted were chosen before (a frozen set), so a letter that comes meanwhile is left alone.
Nothing is requeued, because that would wear out the broker's delivery limit: what is passed over is published
again at the tail, confirmed, and only then acknowledged. After one round the order is what it was.

Messages are taken some at a time, dealt with side by side, and put back in the order in which they came. A pass
that dies leaves at most so many of them in its queue twice; the next round keeps one of each.

A message whose letter is no longer in the index was settled before by a pass that died before its last
acknowledgement. It is settled here the same way: its copy published once more if no mark says that it is
safe, else dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from pavane.client.letter_actions import InHand, LetterAction, Outcomes, Redriving
from pavane.client.means import Means
from pavane.client.queue_lock import QueueLock
from pavane.core.envelope import GENERATION, KIND, LETTER, RECORD, STEP, number, text
from pavane.errors import BrokerUnavailable, Overloaded
from pavane.ports.broker import Delivery, Message, ToDeadLetters
from pavane.ports.store import FoundLetter


class Round:
    """A round of the dead-letter queue of `worker` for the letters `wanted`.

    Args:
        action: what to do with a wanted letter.
        owner: names the pass; it holds the queue's lock.
        listed: letters that were in the index when the pass began: of those that nobody wants no more is asked.
    """

    def __init__(
        self,
        means: Means,
        worker: str,
        wanted: Mapping[str, FoundLetter],
        action: LetterAction,
        owner: str,
        listed: Collection[str] = (),
    ) -> None:
        service, _, name = worker.partition(".")
        self._means = means
        self._worker = worker
        self._queue = means.names.dead_letter_queue(service, name)
        self._wanted = wanted
        self._action = action
        self._owner = owner
        self._listed = listed
        self._kept: set[tuple[str, int, bytes]] = set()
        self._lock = QueueLock(means, self._queue, owner)
        self._holds_some = False
        self.complete = False
        """Whether all that was there when the round began has been looked at."""

    async def go(self, outcomes: Outcomes) -> None:
        """Go round once; what became of the wanted letters is added to `outcomes`.

        Raises:
            StateUnavailable, BrokerUnavailable: the round stops; going again is harmless.
        """
        if not await self._lock.keep():
            self._skip_rest(outcomes, f"another pass goes through {self._queue}")
            return
        try:
            await self._go(outcomes)
        except BaseException:
            self._holds_some = True
            raise
        finally:
            await self._end()

    async def _end(self) -> None:
        """Give back what is in hand and could not be put back: it would be hidden until this process disconnects."""
        if self._holds_some:
            with suppress(BrokerUnavailable):  # with the connection it has gone back by itself
                await self._means.broker.give_back()
        await self._lock.let_go()

    async def _go(self, outcomes: Outcomes) -> None:
        [count] = await self._means.broker.count([self._queue])
        # Always all the way round: a process that died between a letter and its mark has left a second
        # message of it, and only a round finds that one.
        left = count.ready if count else 0
        while left > 0:
            if not await self._lock.keep():
                self._skip_rest(outcomes, f"another pass took over {self._queue}")
                return
            taken = await self._means.broker.take(self._queue, min(left, self._action.at_once))
            if not taken:
                break
            left -= len(taken)
            for wave in _waves(taken):
                await self._look_at(wave, outcomes)
        self.complete = left <= 0
        self._skip_rest(outcomes, f"its message is not in {self._queue}")

    async def _look_at(self, taken: Sequence[Delivery], outcomes: Outcomes) -> None:
        """Settle these messages, or put them back at the tail. One that failed keeps none of the others."""
        decided = await asyncio.gather(
            *(self._leaves(delivery.message, outcomes) for delivery in taken), return_exceptions=True
        )
        failure = next((one for one in decided if isinstance(one, BaseException)), None)
        try:
            await self._action.conclude()
        except Exception as error:
            failure, decided = error, [False] * len(taken)
        stay: list[Delivery] = []
        for delivery, leaves in zip(taken, decided, strict=True):
            if leaves is True:
                delivery.ack()
            else:  # unsettled it would be hidden until this process disconnects
                stay.append(delivery)
        await self._put_back(stay)
        if failure is not None:
            raise failure

    async def _leaves(self, message: Message, outcomes: Outcomes) -> bool:
        letter = text(message.headers, LETTER)
        found = self._wanted.get(letter)
        if found is None:
            return await self._leaves_unwanted(letter, message)
        # The index knows better than the message what it is: what no job could be made of has no undo.
        hand = replace(
            self._in_hand(letter, found.record.head.key, message),
            step=found.letter.step,
            kind="undo" if found.letter.kind == "undo" else "step",
        )
        settled = await self._action.settle(hand)
        outcomes.note(letter, settled)
        return settled in ("done", "gone")

    async def _leaves_unwanted(self, letter: str, message: Message) -> bool:
        """Whether a letter that nobody wants may go, because an earlier pass has settled it."""
        if not letter or letter in self._listed:
            return False
        hand = self._in_hand(letter, text(message.headers, RECORD), message)
        # A letter whose record is not there, or knows nothing of it, stays.
        record = await self._means.store.read(hand.record)
        if record is None or letter in record.letters or hand.step not in record.steps:
            return False
        if await self._means.store.letter(letter) is not None:
            return False
        return await self._send_on(hand)

    async def _send_on(self, hand: InHand) -> bool:
        """Settle what an earlier pass has begun; says whether the message may go."""
        redriving = Redriving(self._means, self._owner)
        settled = await redriving.settle(hand)
        await redriving.conclude()
        return settled in ("done", "gone")

    def _in_hand(self, letter: str, record: str, message: Message) -> InHand:
        return InHand(
            letter=letter,
            record=record,
            worker=self._worker,
            step=text(message.headers, STEP),
            kind="undo" if text(message.headers, KIND) == "undo" else "step",
            generation=number(message.headers, GENERATION, default=0),
            message=message,
        )

    async def _put_back(self, deliveries: Sequence[Delivery]) -> None:
        """To the tail, in this order. Of two messages of one letter the first is enough, once it is safe there."""
        again: list[Delivery] = []
        twice: list[Delivery] = []
        for delivery in deliveries:
            (twice if _mark_of(delivery.message) in self._kept else again).append(delivery)
        put = await asyncio.gather(
            *(self._publish_again(delivery) for delivery in again), return_exceptions=True
        )
        failure = next((one for one in put if one is not None), None)
        if failure is not None:
            raise failure
        for delivery in twice:
            delivery.ack()

    async def _publish_again(self, delivery: Delivery) -> None:
        """In a queue that is full by now (`max_length`) a message keeps its place until the round is over."""
        try:
            await self._means.broker.publish(delivery.message, ToDeadLetters(self._queue))
        except Overloaded:
            self._holds_some = True
        else:
            delivery.ack()
            if text(delivery.message.headers, LETTER):
                self._kept.add(_mark_of(delivery.message))

    def _skip_rest(self, outcomes: Outcomes, reason: str) -> None:
        for id_ in self._wanted:
            if id_ not in outcomes.done:
                outcomes.skipped.setdefault(id_, reason)


def _waves(taken: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    """Two messages of one letter are dealt with one after the other: the second sees what became of the first."""
    left = list(taken)
    while left:
        wave: list[Delivery] = []
        again: list[Delivery] = []
        seen: set[str] = set()
        for delivery in left:
            letter = text(delivery.message.headers, LETTER)
            (again if letter and letter in seen else wave).append(delivery)
            seen.add(letter)
        yield wave
        left = again


def _mark_of(message: Message) -> tuple[str, int, bytes]:
    """What two messages of one letter have in common."""
    return text(message.headers, LETTER), number(message.headers, GENERATION, default=0), message.body
