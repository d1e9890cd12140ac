"""What is said of a Redis that cannot be used: why, which one it is, and what to do now."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeout

from pavane.adapters.redis import border
from pavane.errors import StateUnavailable

PLACE = "redis.example:6379, database 0"


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (ResponseError("LOADING Redis is loading"), "loading", "Wait"),
        (ResponseError("MISCONF Redis is configured to save"), "disk", "BGSAVE"),
        (ResponseError("NOREPLICAS Not enough good replicas"), "replicas", "min-replicas-to-write"),
        (ResponseError("BUSY Redis is busy"), "busy", "SCRIPT KILL"),
        (ResponseError("UNKILLABLE Sorry"), "busy", "Wait"),
        (ResponseError("CLUSTERDOWN The cluster is down"), "cluster", "CLUSTER INFO"),
        (ResponseError("MASTERDOWN Link with MASTER is down"), "master", "PAVANE_STATE_URL"),
        (ResponseError("TRYAGAIN Multiple keys request during rehashing"), "slot", "Wait"),
        (ResponseError("NOAUTH Authentication required."), "password", "--askpass"),
        (OutOfMemoryError("command not allowed"), "full", "CONFIG SET maxmemory 2gb"),
        (ReadOnlyError("You can't write against a read only replica."), "read-only", "Name the master"),
        (NoPermissionError("this user has no permissions"), "may not", "ACL LOG"),
    ],
)
@pytest.mark.fault("R1", "R4")
def test_a_server_that_cannot_serve_now_is_unavailable_and_says_which_it_is_and_what_to_do(
    error: ResponseError, said: str, remedy: str
) -> None:
    raised = border.refused(error, PLACE)
    assert isinstance(raised, StateUnavailable)
    assert said in str(raised)
    assert PLACE in str(raised)
    assert remedy in raised.remedy
    assert border.trouble(error).remedy == raised.remedy


def beneath(error: Exception, cause: BaseException) -> Exception:
    """As the client library raises it: while it handled the operating system's error."""
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (
            beneath(ConnectionError("Error 111 connecting to h:1."), ConnectionRefusedError(111, "x")),
            "cannot be reached: connection refused",
            "Start Redis",
        ),
        (
            ConnectionError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"),
            "cannot be reached: connection refused",
            "Start Redis",
        ),
        (
            beneath(ConnectionError("x"), socket.gaierror(-2, "Name or service not known")),
            "its host is not known (Name or service not known)",
            "Correct the host in PAVANE_STATE_URL",
        ),
        (
            beneath(ConnectionError("x"), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]")),
            "TLS failed",
            "redis://",
        ),
        (
            beneath(ConnectionError("x"), ssl.SSLCertVerificationError(1, "certificate verify failed")),
            "its certificate is not accepted",
            "?ssl_ca_certs=",
        ),
        (TimeoutError(), "did not answer in time", "`redis-cli PING`"),
        (RedisTimeout("Timeout reading from h:1"), "did not answer in time", "PAVANE_STATE_TIMEOUT"),
        (ConnectionError("Connection closed by server."), "closed the connection", "maxclients"),
        (
            beneath(ConnectionError("x"), ConnectionResetError(104, "reset")),
            "closed the connection",
            "rediss://",
        ),
        (asyncio.IncompleteReadError(b"", 1), "closed the connection", "Its log says why"),
        (InvalidResponse("Protocol Error: b'AMQP'"), "speaks another protocol", "Correct host and port"),
        (
            AuthenticationError("invalid username-password pair"),
            "refused the user name or password",
            "--askpass",
        ),
        (ResponseError("DB index is out of range"), "no such database", "CONFIG GET databases"),
        (ConnectionError("max number of clients reached"), "no more clients", "CLIENT LIST"),
        (BusyLoadingError("Redis is loading the dataset in memory"), "still loading its data", "Wait"),
        (beneath(ConnectionError("x"), OSError(113, "No route to host")), "was lost: x", "network"),
        (ConnectionError(), "was lost: ConnectionError", "log"),
    ],
)
def test_every_lost_connection_says_why_and_what_to_do(error: BaseException, said: str, remedy: str) -> None:
    raised = border.unavailable(error)
    assert said in str(raised)
    assert remedy in raised.remedy
    named = border.refused(raised, PLACE)
    assert isinstance(named, StateUnavailable)
    assert (str(named), named.remedy) == (f"{raised} [{PLACE}]", raised.remedy)


def test_what_concerns_one_record_is_no_outage() -> None:
    raised = border.refused(ResponseError("WRONGTYPE orders:{s00}:history:flow:1 is a string"), PLACE)
    assert not isinstance(raised, StateUnavailable)
    assert "history:flow:1" in str(raised)
    assert raised.remedy


def test_a_lost_state_says_what_to_do_before_and_after_the_loss_was_accepted() -> None:
    assert "topology apply --new-epoch" in border.state_lost("").remedy
    assert "start this process anew" in border.state_lost("another").remedy


def test_credentials_never_show() -> None:
    raised = border.unavailable(AuthenticationError("invalid username-password pair s3cret"))
    assert "s3cret" not in str(raised)
