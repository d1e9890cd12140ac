"""What may leave the adapter: pavane's own errors, and our caller's cancellation.

aiormq has three uses for `CancelledError`: somebody cancelled us, a channel closed under a callback, and a
call on a dead connection (`CancelledError("Server connection reset")`). Let the last two out and the caller
takes a lost connection for its own shutdown, and ends in the middle of a settlement.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import cast

from aiormq.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, ProbableAuthenticationError
from pamqp.exceptions import PAMQPException
from yarl import URL

from pavane.errors import BrokerUnavailable

LOST = (AMQPError, PAMQPException, OSError, RuntimeError, asyncio.InvalidStateError, StopAsyncIteration)
"""What aiormq raises when broker, connection or channel is gone. `TimeoutError` is an `OSError`."""


class border:  # noqa: N801 - reads as the statement it is: `with border("publishing"):`
    """Turn whatever the client library raises while `doing` something into `BrokerUnavailable`.

    An error of the channel or connection becomes `BrokerUnavailable`; so does a cancellation that nobody
    asked our task for. Our own cancellation passes. A class, not a generator: every publish enters one.
    """

    __slots__ = ("_asked_before", "_doing", "_task")

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._asked_before = self._task.cancelling() if self._task else 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        doing = self._doing
        if isinstance(error, asyncio.CancelledError):
            if self._task is None or self._task.cancelling() > self._asked_before:
                return
            raise BrokerUnavailable(f"RabbitMQ closed the connection while {doing}") from error
        if isinstance(error, TimeoutError):
            raise BrokerUnavailable(f"RabbitMQ did not answer in time while {doing}") from error
        if isinstance(error, LOST):
            raise BrokerUnavailable(f"RabbitMQ was lost while {doing}: {reason(error)}") from error


def ending(resource: AbstractConnection | Channel) -> asyncio.Future[object]:
    """Done when a connection or channel has ended, whoever ended it. Cancelling it ends nothing."""
    return cast("asyncio.Future[object]", resource.closing)  # pyright: ignore[reportUnknownMemberType]


def reason(error: BaseException) -> str:
    """An error of the client library in a few words that never contain a password."""
    if isinstance(error, ProbableAuthenticationError):
        return "user name or password refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def place(url: URL) -> str:
    """Where a URL points, without who asks: host, port and virtual host."""
    vhost = url.path.removeprefix("/") or "/"
    return f"{url.host}:{url.port or (5671 if url.scheme == 'amqps' else 5672)} (virtual host {vhost})"
