"""Why something was not done, in words: a run that cannot be steered that way, a letter that stays.

The record answers with codes. Reports for programs keep them; people get a sentence and what to do about it.
"""

from __future__ import annotations

from typing import Final

from pavane.errors import ActionRefused, RunError, RunNotFound, UsageError
from pavane.model.views import TERMINAL

NO_SUCH_RUN: Final = "there is no such run"

_WORDS: Final = {
    "unknown_step": "it has no such step, or that has not begun yet",
    "step_running": "the step is running, and its handler may still commit",
    "step_committed": "the step is committed, there is nothing left to skip",
    "step_skipped": "the step was skipped with another event before",
    "answered": "on_exhausted has answered its dead letter: that event is out, and nothing waits for the step",
    "in_the_past": "that time is not ahead by the store's clock",
    "run_is_live": "a live run waits for it, so it has to be decided what becomes of that (--then)",
    "redriven": "it was redriven, and this may be the only message left",
    "undo_letter": "it is an undo's, which takes its arguments from the run's record, not from its message",
    "join_letter": "it is a join's, which takes its events from the run's record, not from its message",
    "unreadable": "nobody could read an event in its message",
    "unknown_run": "the run that it names does not exist, which no payload changes",
    "known_event": "the run has such an event already",
}

_REMEDIES: Final = {
    "unknown_step": "`pavane runs show {run}` lists its steps; one that has not begun can be paused or cancelled "
    "with its run.",
    "step_running": "Wait until its lease has ended (`pavane runs show {run}`), then do it again.",
    "step_skipped": "The first event stays: `pavane runs history {run}` names it.",
    "answered": "`pavane dlq discard` drops the letter.",
    "in_the_past": "Give a later time, with its zone; `pavane runs cancel {run}` ends the run now.",
}

_LETTER_REMEDIES: Final = {
    "undo_letter": "Mend what it needs, then `pavane dlq redrive {letter}`.",
    "join_letter": "Mend what it needs, then `pavane dlq redrive {letter}`.",
    "unreadable": "Have the event sent again as it should be, then `pavane dlq discard {letter}`.",
    "unknown_run": "Start the run, then `pavane dlq redrive {letter}`.",
    "known_event": "Its job is on its way or done: `pavane dlq ls` shows how the letter stands.",
    "answered": "`pavane dlq redrive --force {letter}` runs it once more as it is; `pavane dlq discard` drops it.",
}

_ENDED: Final = "A run that has ended stays as it ended; `pavane runs history {run}` says how that came."
_FAILING: Final = "It fails already, and the first ending wins; `pavane runs watch {run}` follows its undo."
_CLOSING: Final = (
    "Only what its failing event has caused can be skipped now; a stuck undo is redriven: "
    "`pavane dlq ls --run {run}`."
)
_SHOW: Final = "`pavane runs show {run}` says how it stands."


def in_words(reason: str) -> str:
    """What a code of refusal says, as the end of a sentence. What is no code is words already."""
    if reason in _WORDS:
        return _WORDS[reason]
    about, _, state = reason.partition("_")
    if " " in reason or not state or about not in ("run", "step"):
        return reason
    if about == "step":
        return f"the step is {state}"
    return f"the run has ended, {state}" if state in TERMINAL else f"the run is {state}"


def refused(run: str, participle: str, reason: str, *, step: str = "") -> RunError:
    """The error that says that a run cannot be `participle` (cancelled, ...), or one of its steps cannot.

    Args:
        reason: a code of `core`'s, or `NO_SUCH_RUN`.
        step: the step that was asked for.
    """
    if reason == NO_SUCH_RUN:
        return RunNotFound(f"There is no run {run}.", run=run)
    subject = f"{step!a:.200} of {run}" if step else run
    return ActionRefused(
        f"{subject} cannot be {participle}: {in_words(reason)}.",
        run=run,
        remedy=_remedy(reason, bool(step)).format(run=run),
    )


def _remedy(reason: str, of_a_step: bool) -> str:
    if reason in _REMEDIES:
        return _REMEDIES[reason]
    if reason.removeprefix("run_") in TERMINAL:
        return _ENDED
    if reason == "run_compensating":
        return _CLOSING if of_a_step else _FAILING
    return _SHOW


class LetterNotFound(UsageError):
    """No such dead letter, or no longer: it was redriven, discarded, edited, or its job went on."""

    usual_remedy = "`pavane dlq ls` lists the letters there are."


def letter_refused(record: str, letter: str, reason: str) -> ActionRefused:
    """The error that says why a dead letter cannot be edited. `record` is its run, or the record it lies in."""
    remedy = _LETTER_REMEDIES.get(reason, "`pavane dlq discard {letter}` drops it.")
    return ActionRefused(
        f"Dead letter {letter} cannot be edited: {in_words(reason)}.",
        run=record,
        remedy=remedy.format(letter=letter),
    )
