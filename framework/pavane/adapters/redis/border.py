"""What may leave the adapter: pavane's own errors, and our caller's cancellation.

An error of Redis says in its first word what it is about. Some of them mean that the server cannot serve now
(loading, full, read-only, no replicas, busy, a slot down): the caller tries again. What is left means that a
key holds what pavane has not put there; that concerns one record, not the store.

Whatever is wrong with a server, the error says what to do about it now.
"""

from __future__ import annotations

import socket
import ssl
from typing import NamedTuple

from redis.exceptions import (
    AskError,
    AuthenticationError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeout

from pavane.errors import InfrastructureError, StateLost, StateUnavailable


class Trouble(NamedTuple):
    """Why Redis does not serve, to be read after its name, and what to do now."""

    said: str
    remedy: str


_CREDENTIALS = (
    "Correct user and password in PAVANE_STATE_URL, and percent-encode special characters; "
    "`redis-cli --user NAME --askpass PING` tries them."
)

_NOT_NOW = {
    "LOADING": Trouble(
        "is still loading its data",
        "Wait: it has been started a moment ago. `redis-cli INFO persistence` says how long it will take.",
    ),
    "READONLY": Trouble(
        "is a read-only replica",
        "Name the master in PAVANE_STATE_URL: `redis-cli INFO replication` says where it is.",
    ),
    "NOREPLICAS": Trouble(
        "has too few replicas",
        "Bring its replicas back, or lower `min-replicas-to-write`: `redis-cli INFO replication` lists them.",
    ),
    "MISCONF": Trouble(
        "cannot write to its disk",
        "Make room on its disk and look at its log; `redis-cli INFO persistence` shows what failed. "
        "It goes on after the next `redis-cli BGSAVE` that succeeds.",
    ),
    "OOM": Trouble(
        "takes nothing more: its memory is full",
        "See used_memory and maxmemory with `redis-cli INFO memory`, then raise the limit: "
        "`redis-cli CONFIG SET maxmemory 2gb` (or what the machine has), and set it in redis.conf.",
    ),
    "BUSY": Trouble(
        "is kept busy by a script",
        "Wait; if it goes on, `redis-cli FUNCTION STATS` shows which, `FUNCTION KILL` or `SCRIPT KILL` ends it.",
    ),
    "UNKILLABLE": Trouble(
        "is kept busy by a script", "Wait: the script has written and has to end by itself."
    ),
    "CLUSTERDOWN": Trouble(
        "has lost a part of its cluster",
        "`redis-cli CLUSTER INFO` says which slots are missing; bring their nodes back.",
    ),
    "MASTERDOWN": Trouble("has lost its master", "Name the master in PAVANE_STATE_URL, or bring it back."),
    "TRYAGAIN": Trouble("is moving a slot", "Wait until the slot has been moved."),
    "NOAUTH": Trouble("wants a user name and password", _CREDENTIALS),
    "WRONGPASS": Trouble("refused the user name or password", _CREDENTIALS),
    "NOPERM": Trouble(
        "cannot be used: this user may not do that",
        "`redis-cli ACL LOG` shows what was refused; permit it with `redis-cli ACL SETUSER`.",
    ),
}

_REFUSED = Trouble(
    "cannot be reached: connection refused",
    "Start Redis, or correct host and port in PAVANE_STATE_URL.",
)
_TIMEOUT = Trouble(
    "did not answer in time",
    "See whether `redis-cli PING` is answered there, and whether PAVANE_STATE_URL says rediss:// "
    "where the port wants TLS and redis:// where it does not. PAVANE_STATE_TIMEOUT is how long we wait.",
)
_NO_TLS = Trouble(
    "cannot be reached: TLS failed",
    "Say redis:// in PAVANE_STATE_URL, or give the port that speaks TLS; "
    "a certificate of ours is given with ?ssl_certfile=...&ssl_keyfile=...",
)
_BAD_CERTIFICATE = Trouble(
    "cannot be reached: its certificate is not accepted",
    "Give the authority that signed it, ?ssl_ca_certs=/path/ca.pem in PAVANE_STATE_URL; "
    "the URL's host has to be a name in the certificate.",
)
_CLOSED = Trouble(
    "closed the connection",
    "Its log says why. If it happens at every start: a port that wants TLS needs rediss:// in "
    "PAVANE_STATE_URL, `redis-cli INFO clients` tells whether `maxclients` is reached, or no Redis listens there.",
)
_NO_REDIS = Trouble(
    "cannot be reached: what listens there speaks another protocol",
    "Correct host and port in PAVANE_STATE_URL.",
)
_NO_DATABASE = Trouble(
    "has no such database",
    "Correct the number at the end of PAVANE_STATE_URL; `redis-cli CONFIG GET databases` says how many there are.",
)
_TOO_MANY = Trouble(
    "takes no more clients",
    "`redis-cli CLIENT LIST` shows who is connected; raise `maxclients` with `redis-cli CONFIG SET maxclients`.",
)

_ONE_OF_MANY = Trouble(
    "is a node of a Redis Cluster that has only some of the slots, and this version cannot use a Cluster",
    "Give the URL of one server that has everything.",
)


def unavailable(error: BaseException) -> StateUnavailable:
    """For a connection that could not be made, that failed, or did not answer in time."""
    found = trouble(error)
    return StateUnavailable(f"Redis {found.said}", remedy=found.remedy)


def refused(error: ResponseError | StateUnavailable, place: str) -> InfrastructureError:
    """For an error that Redis, or the way there, answered a call with; says which server it is about."""
    text = str(error)
    if isinstance(error, StateUnavailable):
        return StateUnavailable(f"{text} [{place}]", remedy=error.remedy)
    known = _NOT_NOW.get(_word(error))
    if known:
        return StateUnavailable(f"Redis {known.said} [{place}] ({text})", remedy=known.remedy)
    if isinstance(error, MovedError | AskError):
        return InfrastructureError(f"Redis {_ONE_OF_MANY.said} [{place}]", remedy=_ONE_OF_MANY.remedy)
    return InfrastructureError(
        f"Redis cannot carry out the call [{place}]: {text}",
        remedy="A key of pavane's holds something else. Look at the key named above.",
    )


def trouble(error: BaseException) -> Trouble:
    """What an error of the client library means, in words that never contain a password."""
    word = _word(error)
    if word in _NOT_NOW:
        return _NOT_NOW[word]
    text = str(error)
    if isinstance(error, AuthenticationError):
        return _NOT_NOW["WRONGPASS"]
    if isinstance(error, InvalidResponse) or "Protocol Error" in text or "Protocol error" in text:
        return _NO_REDIS
    if "DB index" in text or "Invalid Database" in text:
        return _NO_DATABASE
    if "max number of clients" in text:
        return _TOO_MANY
    if isinstance(error, RedisTimeout):
        return _TIMEOUT
    return _of_the_system(_beneath(error), text or type(error).__name__)


def _of_the_system(error: BaseException | None, text: str) -> Trouble:
    """What the operating system's error means; `text` is what the client library made of it."""
    match error:
        case ssl.SSLCertVerificationError():
            return Trouble(f"{_BAD_CERTIFICATE.said} ({error.args[-1]})", _BAD_CERTIFICATE.remedy)
        case ssl.SSLError():
            return _NO_TLS
        case socket.gaierror():
            return Trouble(
                f"cannot be reached: its host is not known ({error.strerror})",
                "Correct the host in PAVANE_STATE_URL, or the name service of this machine.",
            )
        case TimeoutError():
            return _TIMEOUT
        case ConnectionResetError() | BrokenPipeError() | EOFError():
            return _CLOSED
        case ConnectionRefusedError():
            return _REFUSED
        case _ if "Connect call failed" in text:  # several addresses were tried
            return _REFUSED
        case _ if "closed by server" in text or "Connection lost" in text:
            return _CLOSED
        case _:
            return Trouble(f"was lost: {text}", "Its log and the network between here and there say more.")


def _beneath(error: BaseException) -> BaseException | None:
    """The operating system's error that the client library wrapped, if there is one."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, (OSError, EOFError)):
        found = found.__cause__ or found.__context__
    return found


def _word(error: BaseException) -> str:
    """The error's first word. redis-py cuts it off where it has a class for it."""
    if isinstance(error, NoPermissionError):
        return "NOPERM"
    names = {
        "ReadOnlyError": "READONLY",
        "OutOfMemoryError": "OOM",
        "ClusterDownError": "CLUSTERDOWN",
        "MasterDownError": "MASTERDOWN",
        "TryAgainError": "TRYAGAIN",
        "BusyLoadingError": "LOADING",
    }
    return names.get(type(error).__name__, str(error).split(" ", 1)[0].removeprefix("-"))


def state_lost(found: str) -> StateLost:
    """For a shard whose epoch is missing, or another one than this process knew."""
    if found:
        return StateLost(
            "Redis holds another state than before: what was acknowledged may be gone",
            remedy="Restore Redis. If the loss was accepted already, start this process anew.",
        )
    return StateLost(
        "Redis has no state for this namespace: what was acknowledged may be gone",
        remedy=(
            "A new namespace: run `pavane topology apply`. Otherwise restore Redis, "
            "or accept the loss with `pavane topology apply --new-epoch`."
        ),
    )
