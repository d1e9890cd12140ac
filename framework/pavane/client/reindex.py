"""Rebuilding the index of dead letters from the queues, after Redis was lost or restored from an older backup.

What lies in a dead-letter queue and is in no record is filed again, at the generation at which it died: the record
decides, because a letter that was redriven, edited or discarded since must not come back. What of its death only
the index knew (the error, the traceback, whether `on_exhausted` had answered it) stays lost.

The other way round, an entry whose message is in no queue can never be redriven. Such entries are removed, and a
run that waits for one is left stalled (discarded). A message may be out of sight for a while, in the hands of a pass
that died or in the intake. So only entries are candidates whose message was once confirmed, minutes ago; they are
looked for twice, longer apart than a dead process keeps what it took; and nothing is removed while anything waits in
the service's intake.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pavane.client.audit import audited
from pavane.client.bulk import as_if_in_hand
from pavane.client.dlq_round import Round
from pavane.client.letter_actions import Discarding, InHand, Outcomes, Redriving
from pavane.client.letter_choice import every_letter
from pavane.client.means import Means
from pavane.client.queue_lock import LOCK_MS
from pavane.core import envelope
from pavane.core.answers import FileAnswer, Filed, UnknownRun
from pavane.core.calls import File
from pavane.core.envelope import OF_A_LETTER, REASON, RECORD, text
from pavane.core.identity import letter_id, loose_key, step_id
from pavane.core.record import EventRow, Letter
from pavane.errors import MessageError
from pavane.model.names import split_run
from pavane.ports.broker import Message
from pavane.ports.store import FoundLetter
from pavane.runtime.verdicts import fingerprint

SETTLED_FOR: Final = 300_000
"""Milliseconds since its death after which a letter's message is expected in its queue."""

APART: Final = 2 * LOCK_MS
"""Milliseconds between the two looks. A machine that is gone is given up by the broker after three heartbeats."""

LOST: Final = "what it died of was lost with the index; the message came from its queue"

_OF_JOBS: Final = ("attempts", "rejected", "crash_loop", "deadline", "delivery_limit")
"""Reasons why jobs die; the others are of messages that no job could be made of."""


@dataclass(slots=True)
class Reindexed:
    """What came of it: letters that the index did not have, and entries that had no letter any more.

    `left` are the queues, letters and messages that stay as they are, with the reason.
    """

    indexed: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    left: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """One reindexing, for all its rounds.

    Attributes:
        listed: letters that were in the index when it began.
        candidates: by worker, those whose message must be in its queue by now.
    """

    means: Means
    owner: str
    by: str
    reason: str
    subscribed: tuple[str, ...]
    listed: set[str]
    candidates: Mapping[str, Mapping[str, FoundLetter]]
    found: Reindexed


async def reindex(means: Means, *, by: str | None = None, reason: str = "") -> Reindexed:
    """Bring the index in line with the queues. Doing it again, after an error or a kill, is harmless.

    It takes a minute longer where an entry's message is not found at first.

    Args:
        by, reason: for the histories and the audit; `by` defaults to `settings.actor`.

    Raises:
        StateUnavailable, BrokerUnavailable: it stopped on the way.
    """
    work = await _prepared(means, by or means.settings.actor, reason)
    workers = sorted(work.candidates.keys() | await _workers(means))
    async with audited(means, "dlq reindex", workers, by=work.by, reason=reason) as change:
        missing = {
            worker: await _missing(work, worker, work.candidates.get(worker, {})) for worker in workers
        }
        if any(missing.values()):
            await means.clock.sleep(APART)
            for worker, wanted in missing.items():
                await _remove(work, await _missing(work, worker, wanted) if wanted else {})
        change.done = [*work.found.indexed, *work.found.removed]
        change.skipped = list(work.found.left)
    return work.found


async def _prepared(means: Means, by: str, reason: str) -> _Pass:
    """What the index has before anything is looked at."""
    before = await means.store.now() - SETTLED_FOR
    listed: set[str] = set()
    candidates: dict[str, dict[str, FoundLetter]] = defaultdict(dict)
    async for one in every_letter(means):
        listed.add(one.letter.id)
        of_worker = candidates[one.letter.worker]  # its queue is looked through in any case
        if one.letter.dead_at < before and _is_confirmed(one):
            of_worker[one.letter.id] = one
    return _Pass(
        means=means,
        owner=f"{by}/{means.new_id()}",
        by=by,
        reason=reason,
        subscribed=await means.subscribed(),
        listed=listed,
        candidates=candidates,
        found=Reindexed(),
    )


def _is_confirmed(found: FoundLetter) -> bool:
    """Whether the letter's message was safe in its queue once."""
    row = found.record.steps.get(found.letter.step)
    work = row.of("undo" if found.letter.kind == "undo" else "step") if row else None
    return work is not None and work.unpublished != "letter"


async def _workers(means: Means) -> set[str]:
    """Every worker that a service has registered, or whose queues were declared: either may be lost."""
    registered = {worker for one in await means.store.registrations() for worker in one.subscriptions}
    return registered | {word for word in await means.store.remembered() if " " not in word}


async def _missing(work: _Pass, worker: str, wanted: Mapping[str, FoundLetter]) -> Mapping[str, FoundLetter]:
    """Go round a worker's queue; those of the wanted letters that it has no message of."""
    service, _, name = worker.partition(".")
    names, left = work.means.names, work.found.left
    queue, intake = names.dead_letter_queue(service, name), names.intake(service)
    there, waiting = await work.means.broker.count([queue, intake])
    if there is None:
        left[queue] = "it does not exist: `pavane topology apply` declares it"
        return {}
    looking, outcomes = Looking(work, worker), Outcomes()
    await looking.go(outcomes)
    if not looking.complete:
        left[queue] = "another pass goes through it, or took it over"
        return {}
    missing = {id_: one for id_, one in wanted.items() if id_ not in looking.seen}
    if missing and (waiting is None or waiting.ready):
        left |= dict.fromkeys(missing, f"its message may be in {intake}: let a process of {service} run")
        return {}
    return missing


async def _remove(work: _Pass, missing: Mapping[str, FoundLetter]) -> None:
    discarding = Discarding(
        work.means,
        work.subscribed,
        then="leave",
        by=work.by,
        reason=work.reason or "its message is in no queue",
    )
    for id_, one in missing.items():
        if await discarding.settle(as_if_in_hand(one)) == "done":
            work.found.removed.append(id_)


class Looking(Round):
    """A round that takes nothing out but what was settled before; what the index has not, it files."""

    def __init__(self, work: _Pass, worker: str) -> None:
        action = Redriving(work.means, work.owner)
        super().__init__(work.means, worker, {}, action, work.owner, work.listed)
        self._work = work
        self.seen: set[str] = set()

    async def _leaves_unwanted(self, letter: str, message: Message) -> bool:
        work = self._work
        self.seen.add(letter)
        if letter in work.listed:
            return False
        if not letter:
            work.found.left[f"a message in {self._queue}"] = "it is no letter of pavane's"
            return False
        if await self._means.store.letter(letter) is not None:
            return False
        hand, answer = await self._file(self._in_hand(letter, text(message.headers, RECORD), message))
        match answer:
            case Filed(outcome="done", rows=rows):
                await self._means.publish(hand.record, rows)
                work.found.indexed.append(letter)
                work.listed.add(letter)
            case Filed(outcome="gone"):
                return await self._send_on(hand)
            case Filed(outcome="refused", reason=reason):
                work.found.left[letter] = reason
            case Filed() | UnknownRun():  # somebody else has filed it just now
                work.listed.add(letter)
        return False

    async def _file(self, hand: InHand) -> tuple[InHand, FileAnswer]:
        """In its own record; where that is a run that is gone, in one of the letter's own, as its message would
        be dead-lettered now. The letter as it was filed comes back too."""
        call = self._call(hand)
        if hand.record.startswith("~") or split_run(hand.record) is not None:
            answer = await self._means.store.file(call)
            if not isinstance(answer, UnknownRun):
                return hand, answer
        own = loose_key(letter_id(call.worker, call.step, "step"))
        letter = replace(call.letter, kind="message")
        call = replace(call, record=own, own_record=True, kind="step", letter=letter)
        return replace(hand, record=own, kind="step", step=call.step), await self._means.store.file(call)

    def _call(self, hand: InHand) -> File:
        message, work = hand.message, self._work
        event, why = _event_of(message), text(message.headers, REASON)
        step = hand.step or step_id(self._worker, event.id if event else hand.letter)
        letter = Letter(
            id=hand.letter,
            kind="undo" if hand.kind == "undo" else "step" if why in _OF_JOBS else "message",
            step=step,
            worker=self._worker,
            event=event.id if event else "",
            reason=why or "undecodable",
            error=LOST,
            error_type="",
            fingerprint=fingerprint(self._worker, why, ""),
            raw="" if event else base64.b64encode(message.body[: self._means.settings.max_body]).decode(),
            headers=tuple(sorted((name, str(value)) for name, value in message.headers.items())),
        )
        return File(
            record=hand.record,
            subscribed=work.subscribed,
            step=step,
            worker=self._worker,
            kind=hand.kind,
            generation=max(1, hand.generation),
            letter=letter,
            event=event if hand.kind == "step" else None,
            own_record=hand.record.startswith("~"),
            by=work.by,
            reason=work.reason,
        )


def _event_of(message: Message) -> EventRow | None:
    """The event of a letter; `None` if nobody could read it."""
    headers = {name: value for name, value in message.headers.items() if name not in OF_A_LETTER}
    try:
        return envelope.read(headers, message.body, message.content_type).event
    except MessageError:
        return None
