"""Which dead letters are meant: the filter of the client and of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypedDict

from pavane.client.times import to_milliseconds
from pavane.ports.store import FoundLetter


class LetterFilter(TypedDict, total=False):
    """Conditions on dead letters; a letter has to meet all that are given, `None` is none.

    `worker` (`service.worker`), `run` (full name), `workflow`, `event` (name) and `fingerprint` are equal,
    `error` is part of the error's text or equal to its type; `since` and `until` bound the time of death.
    """

    worker: str | None
    run: str | None
    workflow: str | None
    event: str | None
    error: str | None
    fingerprint: str | None
    answered: bool | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A filter, checked."""

    worker: str | None = None
    run: str | None = None
    workflow: str | None = None
    event: str | None = None
    error: str | None = None
    fingerprint: str | None = None
    answered: bool | None = None
    since: int = 0
    until: int = 0

    @classmethod
    def of(cls, given: LetterFilter) -> Self:
        """
        Raises:
            UsageError: a time without a time zone.
        """
        return cls(
            worker=given.get("worker"),
            run=given.get("run"),
            workflow=given.get("workflow"),
            event=given.get("event"),
            error=given.get("error"),
            fingerprint=given.get("fingerprint"),
            answered=given.get("answered"),
            since=to_milliseconds("since", given.get("since")),
            until=to_milliseconds("until", given.get("until")),
        )

    @property
    def anything(self) -> bool:
        """Whether no condition was given."""
        return self == Wanted()

    def takes(self, found: FoundLetter) -> bool:
        letter, head = found.letter, found.record.head
        event = found.record.events.get(letter.event)
        row = found.record.steps.get(letter.step)
        event = event or (found.record.events.get(row.event) if row else None)
        return (
            self.worker in (None, letter.worker)
            and self.run in (None, head.key if head.is_run else "")
            and self.workflow in (None, head.workflow)
            and self.event in (None, event.name if event else letter.event)
            and (self.error is None or self.error == letter.error_type or self.error in letter.error)
            and self.fingerprint in (None, letter.fingerprint)
            and self.answered in (None, letter.answered)
            and (not self.since or letter.dead_at >= self.since)
            and (not self.until or letter.dead_at < self.until)
        )
