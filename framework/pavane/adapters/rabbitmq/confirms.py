"""What the broker says of the messages published on one channel: confirmed, refused, returned, or nothing in time."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Literal

from pavane.adapters.rabbitmq.decode import read_properties
from pavane.adapters.rabbitmq.tap import HEADER, METHOD

Outcome = Literal["confirmed", "refused", "returned", "late"]

_ACK, _NACK, _RETURN = (struct.pack(">HH", 60, method) for method in (80, 120, 50))
_NUMBER = struct.Struct(">Q")


@dataclass(slots=True)
class _Awaited:
    outcome: asyncio.Future[Outcome]
    message_id: str
    give_up_at: float


class Confirms:
    """Numbers the publishes of a channel, as the broker does, and settles each by its number.

    A returned message is confirmed as well, right after it came back: its return is what counts.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._awaited: dict[int, _Awaited] = {}
        self._numbers: dict[str, int] = {}
        self._left_of_return = -1
        self._timer: asyncio.Handle | None = None
        self._watched = 0.0

    def expect(self, message_id: str, give_up_at: float) -> asyncio.Future[Outcome]:
        """Number the publish that is written next; the future is what becomes of it.

        Args:
            message_id: unique per publish: a returned message is known by it.
            give_up_at: the loop's time at which it is `late`.
        """
        self._number += 1
        outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self._awaited[self._number] = _Awaited(outcome, message_id, give_up_at)
        self._numbers[message_id] = self._number
        if self._timer is None or self._watched > give_up_at:
            self._watch(give_up_at)
        return outcome

    def end(self, why: BaseException) -> None:
        """The channel has ended: whoever still waits is told why."""
        if self._timer is not None:
            self._timer.cancel()
        for awaited in self._awaited.values():
            if not awaited.outcome.done():
                awaited.outcome.set_exception(why)
        self._awaited.clear()
        self._numbers.clear()

    def take(self, kind: int, data: bytes, at: int, size: int) -> bool:
        """See `tap.Taker`."""
        if kind == METHOD:
            method = data[at : at + 4]
            if method in (_ACK, _NACK):
                number = _NUMBER.unpack_from(data, at + 4)[0]
                self._settle(number, bool(data[at + 12] & 1), "confirmed" if method == _ACK else "refused")
                return True
            if method == _RETURN:
                self._left_of_return = 0
                return True
            return False
        if self._left_of_return < 0:
            return False
        if kind == HEADER:
            self._left_of_return, properties = read_properties(data[at : at + size])
            self._settle_one(self._numbers.get(properties.get("message_id", ""), 0), "returned")
        else:
            self._left_of_return -= size
        if self._left_of_return <= 0:
            self._left_of_return = -1
        return True

    def _settle(self, number: int, all_before: bool, outcome: Outcome) -> None:
        if all_before:
            for each in [each for each in self._awaited if each <= number]:
                self._settle_one(each, outcome)
        else:
            self._settle_one(number, outcome)

    def _settle_one(self, number: int, outcome: Outcome) -> None:
        awaited = self._awaited.pop(number, None)
        if awaited is None:
            return
        del self._numbers[awaited.message_id]
        if not awaited.outcome.done():
            awaited.outcome.set_result(outcome)

    def _watch(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._watched = at  # uvloop's handle for a time that has passed does not tell it
        self._timer = self._loop.call_at(at, self._give_up)

    def _give_up(self) -> None:
        """One timer for all: nearly every publish is confirmed long before."""
        now = self._loop.time()
        self._timer = None
        for number in [number for number, each in self._awaited.items() if each.give_up_at <= now]:
            self._settle_one(number, "late")
        if self._awaited:
            self._watch(min(each.give_up_at for each in self._awaited.values()))
