"""One round of a dead-letter queue: each message is looked at once, and settled or put back at the tail.

The letters that are wanted were chosen before (a frozen set), so a letter that comes meanwhile is left alone.
Nothing is requeued, because that would wear out the broker's delivery limit: what is passed over is published
again at the tail, confirmed, and only then acknowledged. After one round the order is what it was.

A message whose letter is no longer in the index was settled before by a pass that died before its last
acknowledgement. It is settled here the same way: its copy published once more if no mark says that it is
safe, else dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from pavane.client.letter_actions import InHand, LetterAction, Outcomes, Redriving
from pavane.client.means import Means
from pavane.core.envelope import GENERATION, KIND, LETTER, RECORD, STEP, number, text
from pavane.errors import BrokerUnavailable, Overloaded
from pavane.ports.broker import Delivery, Message, ToDeadLetters
from pavane.ports.store import FoundLetter

LOCK_MS: Final = 30_000
"""How long a pass that died keeps the next one out."""


class Round:
    """A round of the dead-letter queue of `worker` for the letters `wanted`.

    Args:
        action: what to do with a wanted letter.
        owner: names the pass; it holds the queue's lock.
    """

    def __init__(
        self, means: Means, worker: str, wanted: Mapping[str, FoundLetter], action: LetterAction, owner: str
    ) -> None:
        service, _, name = worker.partition(".")
        self._means = means
        self._worker = worker
        self._queue = means.names.dead_letter_queue(service, name)
        self._wanted = wanted
        self._action = action
        self._owner = owner
        self._lock = f"dlq/{self._queue}"
        self._token = 0
        self._claimed_at = 0
        self._left_unsettled = False

    async def go(self, outcomes: Outcomes) -> None:
        """Go round once; what became of the wanted letters is added to `outcomes`.

        Raises:
            StateUnavailable, BrokerUnavailable: the round stops; going again is harmless.
        """
        if not await self._keep_lock():
            self._skip_rest(outcomes, f"another pass goes through {self._queue}")
            return
        try:
            await self._go(outcomes)
        except BaseException:
            self._left_unsettled = True
            raise
        finally:
            await self._end()

    async def _end(self) -> None:
        """Give back what is in hand and could not be put back: it would be hidden until this process disconnects."""
        if self._left_unsettled:
            with suppress(BrokerUnavailable):  # with the connection it has gone back by itself
                await self._means.broker.give_back()
        await self._means.store.disclaim(self._lock, self._owner)

    async def _go(self, outcomes: Outcomes) -> None:
        [count] = await self._means.broker.count([self._queue])
        # Always all the way round: a process that died between a letter and its mark has left a second
        # message of it, and only a round finds that one.
        for _ in range(count.ready if count else 0):
            if not await self._keep_lock():
                self._skip_rest(outcomes, f"another pass took over {self._queue}")
                return
            delivery = await self._means.broker.get(self._queue)
            if delivery is None:
                break
            await self._look_at(delivery, outcomes)
        self._skip_rest(outcomes, f"its message is not in {self._queue}")

    async def _look_at(self, delivery: Delivery, outcomes: Outcomes) -> None:
        """Settle a message, or put it back at the tail."""
        try:
            leaves = await self._leaves(delivery.message, outcomes)
        except Exception:
            await self._put_back(delivery)
            raise
        if leaves:
            delivery.ack()
        else:
            await self._put_back(delivery)

    async def _leaves(self, message: Message, outcomes: Outcomes) -> bool:
        letter = text(message.headers, LETTER)
        found = self._wanted.get(letter)
        if found is None:
            return await self._is_left_over(letter, message)
        settled = await self._action.settle(self._in_hand(letter, found.record.head.key, message))
        outcomes.note(letter, settled)
        return settled in ("done", "gone")

    async def _is_left_over(self, letter: str, message: Message) -> bool:
        """Whether a letter that nobody wants may go, because an earlier pass has settled it."""
        if not letter or await self._means.store.letter(letter) is not None:
            return False
        hand = self._in_hand(letter, text(message.headers, RECORD), message)
        # A letter whose record is not there, or knows nothing of it, stays.
        record = await self._means.store.read(hand.record)
        if record is None or hand.step not in record.steps:
            return False
        return await Redriving(self._means, self._owner).settle(hand) in ("done", "gone")

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

    async def _put_back(self, delivery: Delivery) -> None:
        """To the tail. In a queue that is full by now (`max_length`) it keeps its place until the round is over."""
        try:
            await self._means.broker.publish(delivery.message, ToDeadLetters(self._queue))
        except Overloaded:
            self._left_unsettled = True
        else:
            delivery.ack()

    async def _keep_lock(self) -> bool:
        """Take or keep the queue's lock; a token that changed means that somebody else had it in between."""
        now = self._means.clock.now()
        if self._token and now - self._claimed_at < LOCK_MS // 3:
            return True
        token = await self._means.store.claim(self._lock, self._owner, LOCK_MS)
        ours = token > 0 and self._token in (0, token)
        self._token, self._claimed_at = token, now
        return ours

    def _skip_rest(self, outcomes: Outcomes, reason: str) -> None:
        for id_ in self._wanted:
            if id_ not in outcomes.done:
                outcomes.skipped.setdefault(id_, reason)
