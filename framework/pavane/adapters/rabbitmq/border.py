"""What may leave the adapter: pavane's own errors, and our caller's cancellation.

aiormq has three uses for `CancelledError`: somebody cancelled us, a channel closed under a callback, and a
call on a dead connection (`CancelledError("Server connection reset")`). Let the last two out and the caller
takes a lost connection for its own shutdown, and ends in the middle of a settlement.

Whatever is wrong with a broker, the error says what to do about it now.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from types import TracebackType
from typing import NamedTuple, cast

from aiormq.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
    ProtocolSyntaxError,
)
from pamqp.exceptions import PAMQPException
from yarl import URL

from pavane.errors import BrokerUnavailable

LOST = (AMQPError, PAMQPException, OSError, RuntimeError, asyncio.InvalidStateError, StopAsyncIteration)
"""What aiormq raises when broker, connection or channel is gone. `TimeoutError` is an `OSError`."""


class Trouble(NamedTuple):
    """Why RabbitMQ does not serve, and what to do now."""

    said: str
    remedy: str


_REFUSED = Trouble("connection refused", "Start RabbitMQ, or correct host and port in PAVANE_BROKER_URL.")
_TIMEOUT = Trouble(
    "no answer in time",
    "See with `rabbitmq-diagnostics check_running` whether it runs, and correct host and port in "
    "PAVANE_BROKER_URL: a port that wants TLS needs amqps://, and what is no RabbitMQ may be silent too.",
)
_CREDENTIALS = Trouble(
    "user name or password refused",
    "Correct user and password in PAVANE_BROKER_URL, and percent-encode special characters; "
    "`rabbitmqctl authenticate_user` tries them. The user guest may only connect from RabbitMQ's own machine.",
)
_NO_VHOST = Trouble(
    "the virtual host does not exist, or this user may not use it",
    "`rabbitmqctl list_vhosts` and `rabbitmqctl list_permissions -p VHOST` show which; make it with "
    "`rabbitmqctl add_vhost`, let the user in with `rabbitmqctl set_permissions`, "
    "or correct the end of PAVANE_BROKER_URL.",
)
_NO_RABBITMQ = Trouble(
    "what listens there speaks another protocol",
    "Correct host and port in PAVANE_BROKER_URL; the port for AMQP is usually 5672, with TLS 5671.",
)
_NO_TLS = Trouble(
    "TLS failed",
    "Say amqp:// in PAVANE_BROKER_URL, or give the port that speaks TLS (usually 5671); "
    "a certificate of ours is given with ?certfile=...&keyfile=...",
)
_BAD_CERTIFICATE = Trouble(
    "its certificate is not accepted",
    "Give the authority that signed it, ?cafile=/path/ca.pem in PAVANE_BROKER_URL; "
    "the URL's host has to be a name in the certificate.",
)
_CLOSED = Trouble(
    "connection reset",
    "RabbitMQ's log says why. If it happens at every start: a port that wants TLS needs amqps:// in "
    "PAVANE_BROKER_URL, or no RabbitMQ listens there.",
)
_NOT_PERMITTED = (
    "`rabbitmqctl list_permissions` shows what the user may do; `rabbitmqctl set_permissions` permits it."
)
_COMES_BACK = (
    "The connection comes back by itself; RabbitMQ's log says why it ended. The call can be made again."
)


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
            raise BrokerUnavailable(
                f"RabbitMQ closed the connection while {doing}", remedy=_COMES_BACK
            ) from error
        if isinstance(error, TimeoutError):
            raise BrokerUnavailable(
                f"RabbitMQ did not answer in time while {doing}", remedy=_TIMEOUT.remedy
            ) from error
        if isinstance(error, ChannelAccessRefused):
            raise BrokerUnavailable(
                f"RabbitMQ refused {doing}: {trouble(error).said}", remedy=_NOT_PERMITTED
            ) from error
        if isinstance(error, LOST):
            raise BrokerUnavailable(
                f"RabbitMQ was lost while {doing}: {trouble(error).said}", remedy=_COMES_BACK
            ) from error


def ending(resource: AbstractConnection | Channel) -> asyncio.Future[object]:
    """Done when a connection or channel has ended, whoever ended it. Cancelling it ends nothing."""
    return cast("asyncio.Future[object]", resource.closing)  # pyright: ignore[reportUnknownMemberType]


def unreachable(url: URL, error: BaseException) -> BrokerUnavailable:
    """For a connection that could not be made."""
    found = trouble(error)
    return BrokerUnavailable(f"RabbitMQ at {place(url)}: {found.said}", remedy=found.remedy)


def trouble(error: BaseException) -> Trouble:
    """What an error of the client library means, in a few words that never contain a password."""
    if isinstance(error, (ProbableAuthenticationError, AuthenticationError)):
        return _CREDENTIALS
    text = str(error)
    # The broker answers the opening of a virtual host with the end of the connection. aiormq knows why, and
    # only says what it had hoped for.
    if isinstance(error, InvalidFrameError) and "Connection.OpenOk" in text:
        return _NO_VHOST
    if isinstance(error, (IncompatibleProtocolError, ProtocolSyntaxError, PAMQPException)):
        return _NO_RABBITMQ
    return _of_the_system(_beneath(error), text or type(error).__name__)


def _of_the_system(error: BaseException, text: str) -> Trouble:
    """What the operating system's error means; `text` is what the client library made of it."""
    match error:
        case ssl.SSLCertVerificationError():
            return Trouble(f"{_BAD_CERTIFICATE.said} ({error.args[-1]})", _BAD_CERTIFICATE.remedy)
        case ssl.SSLError():
            return _NO_TLS
        case socket.gaierror():
            return Trouble(
                f"its host is not known ({error.strerror})",
                "Correct the host in PAVANE_BROKER_URL, or the name service of this machine.",
            )
        case TimeoutError():
            return _TIMEOUT
        case ConnectionRefusedError():
            return _REFUSED
        case ConnectionResetError() | BrokenPipeError():
            return _CLOSED
        case _ if "Connect call failed" in text:  # several addresses were tried
            return _REFUSED
        case _ if "connection reset" in text or "closed by peer" in text:
            return _CLOSED
        case _:
            return Trouble(text, "RabbitMQ's log and the network between here and there say more.")


def _beneath(error: BaseException) -> BaseException:
    """The operating system's error that the client library wrapped; the error itself if there is none."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and not isinstance(found, AMQPError):
            return found
        found = found.__cause__ or found.__context__
    return error


def place(url: URL) -> str:
    """Where a URL points, without who asks: host, port and virtual host."""
    vhost = url.path.removeprefix("/") or "/"
    return f"{url.host}:{url.port or (5671 if url.scheme == 'amqps' else 5672)} (virtual host {vhost})"
