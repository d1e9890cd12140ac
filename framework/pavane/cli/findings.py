"""What `pavane doctor` finds: one answer per check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

NAMES: Final = (
    "broker_connection",
    "broker_version",
    "broker_permissions",
    "topology",
    "consumers",
    "dead_lettering",
    "state_connection",
    "state_version",
    "persistence",
    "eviction",
    "epoch",
    "parked",
    "clock_skew",
    "outbox",
    "stalled_runs",
    "policies",
    "consumer_timeout",
)
"""Every check, in the order they are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check; `remedy` says what to do, unless all is well."""

    name: str
    status: Literal["ok", "warning", "error"]
    summary: str
    remedy: str | None = None


def ok(name: str, summary: str) -> Finding:
    return Finding(name, "ok", summary)


def warning(name: str, summary: str, remedy: str) -> Finding:
    return Finding(name, "warning", summary, remedy)


def error(name: str, summary: str, remedy: str) -> Finding:
    return Finding(name, "error", summary, remedy)


def not_seen(name: str, why: str, remedy: str) -> Finding:
    return Finding(name, "warning", f"not seen: {why}", remedy)
