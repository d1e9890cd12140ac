"""What is said of a RabbitMQ that cannot be used: why, which one it is, and what to do now."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from aiormq.exceptions import (
    AMQPConnectionError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ConnectionClosed,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from pamqp.exceptions import UnmarshalingException
from yarl import URL

from pavane.adapters.rabbitmq.border import border, place, unreachable
from pavane.errors import BrokerUnavailable

NODE = URL("amqp://keeper:s3cret@rabbit.example/orders")


def over(cause: OSError) -> AMQPConnectionError:
    """As the client library raises it."""
    error = AMQPConnectionError(*cause.args)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (over(ConnectionRefusedError(111, "x")), "connection refused", "Start RabbitMQ"),
        (
            over(OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)")),
            "connection refused",
            "Start RabbitMQ",
        ),
        (
            over(socket.gaierror(-2, "Name or service not known")),
            "its host is not known (Name or service not known)",
            "Correct the host in PAVANE_BROKER_URL",
        ),
        (over(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]")), "TLS failed", "amqp://"),
        (
            over(ssl.SSLCertVerificationError(1, "certificate verify failed")),
            "its certificate is not accepted (certificate verify failed)",
            "?cafile=",
        ),
        (TimeoutError(), "no answer in time", "amqps://"),
        (over(ConnectionResetError(104, "reset")), "connection reset", "RabbitMQ's log"),
        (AMQPConnectionError("Server connection unexpectedly closed. connection reset"), "reset", "log"),
        (ProbableAuthenticationError("ACCESS_REFUSED"), "user name or password refused", "authenticate_user"),
        (
            InvalidFrameError("Expected one of ['Connection.OpenOk'], got <Connection.Close object>"),
            "the virtual host does not exist, or this user may not use it",
            "rabbitmqctl add_vhost",
        ),
        (
            InvalidFrameError("Expected Connection.Start, got ..."),
            "another protocol",
            "Correct host and port",
        ),
        (IncompatibleProtocolError("x"), "another protocol", "Correct host and port"),
        (UnmarshalingException("x", "y"), "another protocol", "Correct host and port"),
        (over(OSError(113, "No route to host")), "No route to host", "network"),
        (ConnectionClosed(320, "CONNECTION_FORCED"), "CONNECTION_FORCED", "RabbitMQ's log"),
    ],
)
def test_every_connection_that_cannot_be_made_says_where_and_why_and_what_to_do(
    error: Exception, said: str, remedy: str
) -> None:
    raised = unreachable(NODE, error)
    assert str(raised).startswith("RabbitMQ at rabbit.example:5672 (virtual host orders): ")
    assert said in str(raised)
    assert remedy in raised.remedy
    assert "s3cret" not in f"{raised!r} {raised.remedy}"


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (ChannelAccessRefused(403, "ACCESS_REFUSED - write access"), "refused publishing", "set_permissions"),
        (over(ConnectionResetError(104, "reset")), "was lost while publishing", "comes back by itself"),
        (ChannelInvalidStateError("closed"), "was lost while publishing: closed", "comes back by itself"),
        (TimeoutError(), "did not answer in time while publishing", "check_running"),
        (asyncio.CancelledError("Server connection reset"), "closed the connection while publishing", "log"),
    ],
)
async def test_every_call_that_failed_says_what_to_do(error: BaseException, said: str, remedy: str) -> None:
    with pytest.raises(BrokerUnavailable) as raised, border("publishing"):
        raise error
    assert said in str(raised.value)
    assert remedy in raised.value.remedy


def test_a_place_shows_no_credentials() -> None:
    assert place(URL("amqps://keeper:s3cret@rabbit.example")) == "rabbit.example:5671 (virtual host /)"
