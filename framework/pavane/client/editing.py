"""Editing a dead letter: its job begins anew with another payload, and the letter is closed in the same call.

The store does both at once and writes the new job to its outbox; what cannot be published now, the workers' relay
publishes. The letter's message stays in its queue until the next round passes it, which drops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pydantic_core

from pavane.client import views
from pavane.client.audit import audited
from pavane.client.means import Means
from pavane.client.refusals import LetterNotFound, letter_refused
from pavane.core import editing as core
from pavane.core.calls import Edit
from pavane.core.identity import edited_id
from pavane.core.record import EventRow
from pavane.errors import TooLarge, Undecodable, UsageError
from pavane.model.views import Attempt
from pavane.model.wire import check_json
from pavane.ports.store import FoundLetter


async def find(means: Means, id_: str) -> FoundLetter:
    """The letter with its record.

    Raises:
        LetterNotFound: there is none, or no longer.
    """
    found = await means.store.letter(id_)
    if found is None:
        raise LetterNotFound(f"There is no dead letter {id_!a:.80}.")
    return found


def event_of(found: FoundLetter) -> EventRow:
    """The event of a letter that may be edited.

    Raises:
        ActionRefused: it may not, or nobody could read its event.
    """
    record, letter = found.record, found.letter
    row = record.steps.get(letter.step)
    event = record.events.get(row.event) if row else None
    if row is None or event is None:
        raise letter_refused(record.head.key, letter.id, "unreadable")
    anything = Edit(
        record=record.head.key,
        letter=letter.id,
        step=letter.step,
        generation=letter.generation,
        event=replace(event, id=edited_id(event.id, b"")),
    )
    if refusal := core.why_not_edited(record, row, letter, anything):
        raise letter_refused(record.head.key, letter.id, refusal)
    return event


def attempts_of(found: FoundLetter) -> list[Attempt]:
    """Attempts that may have had an effect outside: all that began, of edits before this one too."""
    row = found.record.steps.get(found.letter.step)
    began: list[Attempt] = []
    while row is not None:
        began = [*views.attempts(row.work), *began]
        row = found.record.steps.get(row.replaces)
    return began


def body_of(means: Means, event: EventRow, payload: Mapping[str, Any]) -> bytes:
    """The payload as it is kept and sent.

    Raises:
        UsageError: it cannot be written as JSON that every worker reads.
        TooLarge: it is over `settings.max_body`.
    """
    try:
        body = pydantic_core.to_json(dict(payload))
        check_json(body)
    except (pydantic_core.PydanticSerializationError, ValueError, Undecodable) as error:
        raise UsageError(f"Nobody could read this payload: {error}") from None
    if len(body) > means.settings.max_body:
        raise TooLarge(f"{event.name} has {len(body)} bytes, the limit is {means.settings.max_body}.")
    return body


async def edit(
    means: Means,
    found: FoundLetter,
    payload: Mapping[str, Any],
    *,
    new_key: bool = False,
    reason: str,
    by: str | None = None,
) -> str:
    """Give the letter's job this payload; the new event's id.

    Args:
        found: the letter, as whoever edits has seen it.
        new_key: the job gets an idempotency key of its own, so that its effects happen beside the old attempts'.
        reason, by: for the run's history; `by` defaults to `settings.actor`.

    Raises:
        ActionRefused: the letter may not be edited.
        LetterNotFound: it was dealt with since, or its job died once more.
        UsageError, TooLarge: as `body_of`.
        StateUnavailable: the outcome is unknown; doing the same again is harmless.
    """
    event = event_of(found)
    body = body_of(means, event, payload)
    record, letter = found.record.head.key, found.letter
    call = Edit(
        record=record,
        letter=letter.id,
        step=letter.step,
        generation=letter.generation,
        event=replace(
            event,
            id=edited_id(event.id, body),
            time=await means.store.now(),
            payload=body,
            causation=event.id,
            hops=0,  # with every event from outside the count begins anew
        ),
        new_key=new_key,
        by=by or means.settings.actor,
        reason=reason,
    )
    async with audited(means, "dlq edit", [letter.id], by=by, reason=reason):
        return await _carry_out(means, call)


async def _carry_out(means: Means, call: Edit) -> str:
    answer = await means.store.edit(call)
    match answer.outcome:
        case "done":
            await means.publish(call.record, answer.rows)
            return call.event.id
        case "refused":
            raise letter_refused(call.record, call.letter, answer.reason)
        case "gone":
            raise LetterNotFound(
                f"Dead letter {call.letter} was dealt with since it was read, or its job has died once more.",
                remedy="`pavane dlq ls` shows how it stands; edit what is there then.",
            )
