"""The audit: who changed what, when and why, beside what the runs' own histories say of it.

A change has a line before it (`begun`, with everything that it is going to touch) and one behind it (`done`, and
`skipped` for what was left alone). A process that dies in between leaves the first: who did what to which ids is
known even then. What many ids are concerned by has as many lines as they need.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pavane.client.listing import Found, Listing
from pavane.client.means import Means
from pavane.client.times import from_milliseconds, to_milliseconds
from pavane.errors import InfrastructureError
from pavane.model.views import AuditEntry
from pavane.ports.store import AuditLine, Place

SUBJECTS_IN_A_LINE: Final = 500
LONGEST_TEXT: Final = 2_000

log = logging.getLogger("pavane")


@dataclass(slots=True)
class Change:
    """A change under way. Whoever makes it says what became of its subjects; `done` is `None` if all are done."""

    done: Collection[str] | None = None
    skipped: Collection[str] = ()


@asynccontextmanager
async def audited(
    means: Means, action: str, subjects: Sequence[str], *, by: str | None, reason: str
) -> AsyncGenerator[Change]:
    """Have what happens inside on record; nothing, if there are no subjects.

    Args:
        action: as the command line calls it (`dlq redrive`).
        subjects: ids of letters, full names of runs, names of queues.
        by: who acts; `None`: `settings.actor`.

    Raises:
        StateUnavailable: before the change, which then does not happen.
    """
    change = Change()
    if not subjects:
        yield change
        return
    actor = by or means.settings.actor
    await record(means, action, subjects, by=actor, reason=reason, outcome="begun")
    try:
        yield change
    except Exception as error:
        done = change.done or ()
        left = [id_ for id_ in subjects if id_ not in done]
        if done:
            await _record_end(means, action, list(done), by=actor, reason=reason, outcome="done")
        await _record_end(means, action, left, by=actor, reason=reason, outcome=f"failed: {error}")
        raise
    done = subjects if change.done is None else change.done
    if done or not change.skipped:  # that there was nothing to do is an end, too
        await _record_end(means, action, list(done), by=actor, reason=reason, outcome="done")
    if change.skipped:
        await _record_end(means, action, list(change.skipped), by=actor, reason=reason, outcome="skipped")


async def record(
    means: Means, action: str, subjects: Sequence[str], *, by: str | None, reason: str, outcome: str
) -> None:
    """Write it down, on as many lines as its subjects need.

    Raises:
        StateUnavailable: it may be written, or part of it.
    """
    for first in range(0, max(1, len(subjects)), SUBJECTS_IN_A_LINE):
        await means.store.audit(
            AuditLine(
                by=by or means.settings.actor,
                reason=reason[:LONGEST_TEXT],
                action=action,
                subjects=tuple(subjects[first : first + SUBJECTS_IN_A_LINE]),
                outcome=outcome[:LONGEST_TEXT],
            )
        )


async def _record_end(
    means: Means, action: str, subjects: Sequence[str], *, by: str, reason: str, outcome: str
) -> None:
    """What has happened has happened: that the line behind it is missing is no reason to say anything else."""
    try:
        await record(means, action, subjects, by=by, reason=reason, outcome=outcome)
    except InfrastructureError as error:
        log.warning("%s by %s: the audit does not say how it ended: %s", action, by, error)


def entries(means: Means, *, since: datetime | None = None) -> Listing[AuditEntry]:
    """What the audit has, the latest first.

    Args:
        since: aware; included.

    Raises:
        UsageError: a time without a time zone.
    """
    earliest = to_milliseconds("since", since)

    async def fetch(after: Place | None, limit: int) -> Sequence[Found[AuditEntry]]:
        lines = await means.store.audited(since=earliest, after=after, limit=limit)
        return [Found(line.place, _entry(line)) for line in lines]

    return Listing(fetch)


def _entry(line: AuditLine) -> AuditEntry:
    return AuditEntry(
        at=from_milliseconds(line.place.at),
        by=line.by,
        reason=line.reason or None,
        action=line.action,
        subjects=list(line.subjects),
        outcome=line.outcome,
    )
