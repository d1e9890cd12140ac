"""Carrying out an action on chosen letters: foreseen, or by one round of each dead-letter queue concerned."""

from __future__ import annotations

from collections import defaultdict

from pavane.client.audit import audited
from pavane.client.dlq_round import Round
from pavane.client.letter_actions import InHand, LetterAction, Outcomes
from pavane.client.letter_choice import Choice
from pavane.client.means import Means
from pavane.model.views import BulkReport, Skipped
from pavane.ports.broker import Message
from pavane.ports.store import FoundLetter


async def carry_out(
    means: Means, choice: Choice, action: LetterAction, *, dry_run: bool, name: str, by: str, reason: str
) -> BulkReport:
    """Deal with the chosen letters and report.

    Args:
        name, by, reason: for the audit.

    Raises:
        StateUnavailable, BrokerUnavailable: it stopped on the way; doing it again is harmless.
    """
    if dry_run:
        await _foresee(means, choice, action)
        return _report(choice, dry_run)
    outcomes = choice.outcomes
    async with audited(means, name, list(choice.letters), by=by, reason=reason) as change:
        change.done = outcomes.done
        await _go_round(means, choice, action)
        change.done = [id_ for id_ in choice.letters if id_ in outcomes.done]
        change.skipped = [id_ for id_ in choice.letters if id_ in outcomes.skipped]
    return _report(choice, dry_run)


async def _foresee(means: Means, choice: Choice, action: LetterAction) -> None:
    now = await means.store.now()
    for found in choice.letters.values():
        hand = as_if_in_hand(found)
        choice.outcomes.note(found.letter.id, action.foresee(found.record, hand, now))


def as_if_in_hand(found: FoundLetter) -> InHand:
    """A letter as the index knows it, for what needs no message."""
    letter = found.letter
    return InHand(
        letter=letter.id,
        record=found.record.head.key,
        worker=letter.worker,
        step=letter.step,
        kind="undo" if letter.kind == "undo" else "step",
        generation=letter.generation,
        message=Message(body=b""),
    )


async def _go_round(means: Means, choice: Choice, action: LetterAction) -> None:
    owner = f"{means.settings.actor}/{means.new_id()}"
    by_worker: dict[str, dict[str, FoundLetter]] = defaultdict(dict)
    for id_, found in choice.letters.items():
        by_worker[found.letter.worker][id_] = found
    if choice.all_queues:
        for worker in await _workers(means):
            by_worker.setdefault(worker, {})
    for worker, wanted in by_worker.items():
        await Round(means, worker, wanted, action, owner, choice.listed).go(choice.outcomes)


async def _workers(means: Means) -> list[str]:
    """Every worker that some service has registered, by full name."""
    registrations = await means.store.registrations()
    return sorted({worker for one in registrations for worker in one.subscriptions})


def _report(choice: Choice, dry_run: bool) -> BulkReport:
    outcomes: Outcomes = choice.outcomes
    report = BulkReport(
        matched=choice.matched,
        done=len(outcomes.done),
        dry_run=dry_run,
        skipped=[Skipped(id=id_, reason=reason) for id_, reason in outcomes.skipped.items()],
    )
    return report.naming(id_ for id_ in choice.letters if id_ in outcomes.done)
