"""Acknowledgements of one channel, gathered for a turn of the loop and sent in as few frames as possible.

One `multiple` acknowledgement settles the finished prefix of the channel's deliveries; what was finished
out of order goes one by one, else a single slow job would use up the prefetch of all its neighbours.
Measured: together with the cheaper publish path this makes a chain of steps half as fast again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import takewhile

from aiormq.channel import Channel

from pavane.adapters.rabbitmq.frames import ack_frame
from pavane.adapters.rabbitmq.tap import Tap


@dataclass(slots=True)
class Ledger:
    """Which deliveries of a channel are out, and which of them are finished. Tags only ever grow."""

    _open: dict[int, bool] = field(default_factory=dict[int, bool])
    _finished: list[int] = field(default_factory=list[int])

    def delivered(self, tag: int) -> None:
        self._open[tag] = False

    def finished(self, tag: int) -> None:
        """Note that `tag` can be acknowledged. An unknown or repeated tag is ignored."""
        if self._open.get(tag) is False:
            self._open[tag] = True
            self._finished.append(tag)

    def take(self) -> tuple[int | None, list[int]]:
        """What to send now: the last tag of the finished prefix, and the finished ones behind a gap."""
        settled = list(takewhile(self._open.__getitem__, self._open))
        for tag in settled:
            del self._open[tag]
        prefix = settled[-1] if settled else None
        behind = [tag for tag in self._finished if self._open.pop(tag, False)]
        self._finished.clear()
        return prefix, behind


class Acks:
    """Sends the acknowledgements of `channel`. One that comes too late is forgotten: a redelivery follows."""

    def __init__(self, channel: Channel, tap: Tap) -> None:
        self._channel = channel
        self._tap = tap
        self._ledger = Ledger()
        self._scheduled = False
        self._stopped = False

    def delivered(self, tag: int) -> None:
        self._ledger.delivered(tag)

    def settle(self, tag: int) -> None:
        """Acknowledge `tag` at the end of this turn of the loop. Never raises."""
        self._ledger.finished(tag)
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send)

    def stop(self) -> None:
        """Send what is finished, then ignore all that comes: the channel is about to close."""
        self._stopped = True
        self._send()
        self._tap.flush()

    def _send(self) -> None:
        self._scheduled = False
        number = self._channel.number
        if self._channel.is_closed or not self._tap.is_open(number):
            return
        prefix, behind = self._ledger.take()
        frames = [ack_frame(number, tag) for tag in behind]
        if prefix is not None:
            frames.insert(0, ack_frame(number, prefix, multiple=True))
        if frames:
            self._tap.write(b"".join(frames))
