"""Dead letters: found by the store's index, and redriven or dropped by a round of their queue."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

from pavane.client import editing, views
from pavane.client.bulk import carry_out
from pavane.client.letter_actions import Discarding, Redriving
from pavane.client.letter_choice import choose, every_letter, fetch_letters
from pavane.client.letter_filter import LetterFilter, Wanted
from pavane.client.letter_groups import group
from pavane.client.listing import Found, Listing
from pavane.client.means import Means
from pavane.errors import UsageError
from pavane.model.views import BulkReport, DeadLetter, DeadLetterGroup
from pavane.ports.store import Place


class DeadLetters:
    """The dead letters of a namespace."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def list(self, **filter: Unpack[LetterFilter]) -> Listing[DeadLetter]:
        """Dead letters that meet the filter, oldest first.

        Args:
            worker, run, workflow, event, fingerprint: equal to these (`service.worker`, full name, ...).
            error: part of the error's text, or its type.
            answered: whether `on_exhausted` has dealt with it.
            since, until: of the time of death, aware; `since` included, `until` excluded.
        """
        wanted = Wanted.of(filter)

        async def fetch(after: Place | None, limit: int) -> Sequence[Found[DeadLetter]]:
            batch = await fetch_letters(self._means, after, limit)
            return [
                Found(
                    place,
                    views.dead_letter(found.record, found.letter) if found and wanted.takes(found) else None,
                )
                for place, found in batch
            ]

        return Listing(fetch)

    async def groups(self, **filter: Unpack[LetterFilter]) -> builtins.list[DeadLetterGroup]:
        """What letters died of: one group for each fingerprint (worker, exception type, place in the user's code).

        The largest group comes first.

        Args:
            filter: as in `list`.
        """
        wanted = Wanted.of(filter)
        return await group(found async for found in every_letter(self._means) if wanted.takes(found))

    async def get(self, id: str) -> DeadLetter:
        """One letter with all that is known.

        Raises:
            LetterNotFound: there is none, or no longer.
        """
        found = await editing.find(self._means, id)
        return views.dead_letter(found.record, found.letter)

    async def redrive(
        self,
        *ids: str,
        everything: bool = False,
        limit: int | None = None,
        rate: float | None = None,
        dry_run: bool = False,
        force: bool = False,
        reason: str = "",
        by: str | None = None,
        **filter: Unpack[LetterFilter],
    ) -> BulkReport:
        """Send jobs back to their workers, with all their attempts before them.

        The letters are chosen first; those that die while this goes on are not among them. The order of what
        stays in a dead-letter queue does not change. Going again after an error is harmless.

        Args:
            ids: of letters; with a filter, those of them that meet it.
            everything: without ids and filter: all there are.
            limit: at most so many, oldest first.
            rate: at most so many a second.
            dry_run: change nothing; the report says what would happen now.
            force: also letters that `on_exhausted` has answered.
            reason, by: for the run's history; `by` defaults to `settings.actor`.
            filter: as in `list`.

        Raises:
            UsageError: neither ids, filter nor `everything`.
            StateUnavailable, BrokerUnavailable: it stopped on the way.
        """
        if rate is not None and not rate > 0:
            raise UsageError("rate is a number of letters a second, above 0.")
        choice = await choose(self._means, ids, everything, limit, filter)
        actor = by or self._means.settings.actor

        action = Redriving(self._means, self._means.new_id(), force=force, by=actor, reason=reason, rate=rate)
        return await carry_out(
            self._means, choice, action, dry_run=dry_run, name="dlq redrive", by=actor, reason=reason
        )

    async def discard(
        self,
        *ids: str,
        everything: bool = False,
        limit: int | None = None,
        dry_run: bool = False,
        reason: str = "",
        by: str | None = None,
        then: Literal["compensate", "leave"] | None = None,
        **filter: Unpack[LetterFilter],
    ) -> BulkReport:
        """Drop letters for good.

        Args:
            then: for the letter of a live run that waits for it: `compensate` undoes the run, `leave` leaves
                it stalled (discarded); without it such a letter is kept.
            ids, everything, limit, dry_run, reason, by, filter: as in `redrive`.

        Raises:
            UsageError: neither ids, filter nor `everything`.
            StateUnavailable, BrokerUnavailable: it stopped on the way.
        """
        choice = await choose(self._means, ids, everything, limit, filter)
        actor = by or self._means.settings.actor
        action = Discarding(
            self._means, await self._means.subscribed(), then=then or "", by=actor, reason=reason
        )
        return await carry_out(
            self._means, choice, action, dry_run=dry_run, name="dlq discard", by=actor, reason=reason
        )

    async def edit(self, id: str, payload: Mapping[str, Any], *, reason: str, by: str | None = None) -> str:
        """Give a letter's job another payload: it begins anew as another event, and the letter is closed.

        The new event names the old one as its cause. The job's idempotency key stays, so that an outside which
        knows it does nothing twice; attempts that were made may have had an effect all the same.

        Args:
            payload: all of it, not only what changes. It is checked against the rules of JSON alone: the worker
                validates it, and what it does not take is a dead letter once more.
            reason, by: for the run's history; `by` defaults to `settings.actor`.

        Returns:
            The new event's id.

        Raises:
            LetterNotFound: there is none, or no longer.
            ActionRefused: it is answered, an undo's or a join's, its run is over, or nobody could read it.
            UsageError: the payload cannot be written as JSON.
            TooLarge: it is over `settings.max_body`.
            StateUnavailable: the outcome is unknown; the same call again is harmless.
        """
        found = await editing.find(self._means, id)
        return await editing.edit(self._means, found, payload, reason=reason, by=by)
