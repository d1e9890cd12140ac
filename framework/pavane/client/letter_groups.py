"""Groups of dead letters: those that died of the same thing, by worker, exception type and place in the user's code."""

from __future__ import annotations

from collections.abc import AsyncIterable

from pavane.client.times import from_milliseconds
from pavane.core.record import Letter
from pavane.model.views import DeadLetterGroup
from pavane.ports.store import FoundLetter


async def group(found: AsyncIterable[FoundLetter]) -> list[DeadLetterGroup]:
    """One group for each fingerprint, the largest first, the one that died last first among equals.

    Args:
        found: letters, oldest first.
    """
    groups: dict[tuple[str, str], _Group] = {}
    async for one in found:
        letter = one.letter
        key = (letter.worker, letter.fingerprint)
        if key in groups:
            groups[key].add(letter)
        else:
            groups[key] = _Group(letter)
    ordered = sorted(groups.values(), key=lambda one: (-one.count, -one.last.dead_at, one.last.fingerprint))
    return [one.view() for one in ordered]


class _Group:
    """Letters of one kind, counted as they come."""

    def __init__(self, first: Letter) -> None:
        self.first = self.last = first
        self.count = 1

    def add(self, letter: Letter) -> None:
        self.last = letter
        self.count += 1

    def view(self) -> DeadLetterGroup:
        last = self.last
        return DeadLetterGroup(
            fingerprint=last.fingerprint,
            worker=last.worker,
            error_type=last.error_type or None,
            error=last.error or None,
            where=last.where or None,
            count=self.count,
            first_at=from_milliseconds(self.first.dead_at),
            last_at=from_milliseconds(last.dead_at),
            example_id=last.id,
        )
