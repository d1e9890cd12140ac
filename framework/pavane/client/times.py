"""Times as readers give them: aware datetimes."""

from __future__ import annotations

from datetime import UTC, datetime

from pavane.errors import UsageError


def to_milliseconds(name: str, at: datetime | None) -> int:
    """Milliseconds since the epoch; 0 for `None`, which bounds nothing.

    Raises:
        UsageError: without a time zone nobody knows what is meant.
    """
    if at is None:
        return 0
    if at.tzinfo is None:
        raise UsageError(
            f"{name}={at.isoformat()} has no time zone.",
            remedy="Give an aware datetime, such as datetime.now(UTC).",
        )
    return int(at.timestamp() * 1000)


def from_milliseconds(at: int) -> datetime:
    """Milliseconds since the epoch as an aware datetime, UTC."""
    return datetime.fromtimestamp(at / 1000, UTC)
