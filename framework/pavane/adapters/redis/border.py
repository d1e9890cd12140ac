"""What may leave the adapter: pavane's own errors, and our caller's cancellation.

An error of Redis says in its first word what it is about. Some of them mean that the server cannot serve now
(loading, full, read-only, no replicas, busy, a slot down): the caller tries again. What is left means that a
key holds what pavane has not put there; that concerns one record, not the store.
"""

from __future__ import annotations

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from pavane.errors import InfrastructureError, StateLost, StateUnavailable

_NOT_NOW = {
    "LOADING": "it is still loading its data",
    "READONLY": "it is a read-only replica",
    "NOREPLICAS": "it has too few replicas",
    "MISCONF": "it cannot write to its disk",
    "OOM": "its memory is full",
    "BUSY": "a script keeps it busy",
    "CLUSTERDOWN": "its cluster is down",
    "MASTERDOWN": "its master is down",
    "TRYAGAIN": "a slot is being moved",
    "UNKILLABLE": "a script keeps it busy",
    "NOAUTH": "it wants a user name and password",
    "WRONGPASS": "user name or password refused",
    "NOPERM": "this user may not do that",
}


def unavailable(error: BaseException) -> StateUnavailable:
    """For a connection that failed or did not answer in time."""
    if isinstance(error, AuthenticationError):
        return StateUnavailable("Redis refused the user name or password")
    if isinstance(error, (TimeoutError, RedisTimeout)):
        return StateUnavailable("Redis did not answer in time")
    return StateUnavailable(f"Redis was lost: {str(error) or type(error).__name__}")


def refused(error: ResponseError) -> InfrastructureError:
    """For an error that Redis answered."""
    text = str(error)
    word = _word(error, text)
    if word in _NOT_NOW:
        return StateUnavailable(f"Redis cannot serve now: {_NOT_NOW[word]} ({text})")
    return InfrastructureError(
        f"Redis cannot carry out the call: {text}",
        remedy="A key of pavane's holds something else. Look at the key named above.",
    )


def _word(error: RedisError, text: str) -> str:
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
    return names.get(type(error).__name__, text.split(" ", 1)[0].removeprefix("-"))


def state_lost(found: str) -> StateLost:
    """For a shard whose epoch is missing, or another one than this process knew."""
    what = "holds another state than before" if found else "has no state for this namespace"
    return StateLost(
        f"Redis {what}: what was acknowledged may be gone",
        remedy=(
            "A new namespace: run `pavane topology apply`. Otherwise restore Redis, "
            "or accept the loss with `pavane topology apply --new-epoch`."
        ),
    )
