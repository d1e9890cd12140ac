"""The history of a run for people: one line per fact, with the names of events instead of their ids.

`--json` has everything as it is recorded; here a line has to be understood without the manual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from rich.table import Table

from pavane.cli.output import clean, duration, moment, table
from pavane.client.refusals import in_words
from pavane.model.views import HistoryEntry, Step

_CODES: Final = {
    "attempts": "no attempts left",
    "cancelled": "cancelled",
    "crash_loop": "its processes die of it",
    "deadline": "the deadline has passed",
    "idle": "nothing happens",
    "operator": "given up by hand",
    "step_dead": "a step is dead",
}
_MARKS: Final = {
    "dead": "the dead letter",
    "undo_stuck": "the stuck undo",
    "discarded": "the discarded letter",
}
_OF_PEOPLE: Final = ("cancel_requested", "deadline_moved", "paused", "resumed", "redriven", "step_skipped")
"""Kinds whose reason is what a person has said."""

_ENDS: Final = ("compensation_started", "completed", "failed", "compensated", "cancelled")
"""Kinds whose reason is why the run ends."""


class Background:
    """What is known of a run beside the line that is told: its events by name, its steps.

    Args:
        steps: the run's; lines add what they name themselves.
    """

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._names: dict[str, str] = {}
        self._failed_by = ""
        self._unknown: set[str] = set()
        for step in steps:
            self._names |= {event.id: event.name for event in (step.event, step.result) if event is not None}
            if step.undo is not None and step.undo.outcome == "unknown":
                self._unknown.add(step.step_id)

    def learn(self, line: HistoryEntry) -> None:
        """Remember the event that the line names, or what the run fails because of."""
        if line.kind == "compensation_started":
            self._failed_by = _word(line.reason or "")
        event_id = line.detail.get("id") if line.kind == "event_emitted" and line.step_id else line.cause
        if line.event and event_id and line.kind in ("run_started", "event_emitted"):
            self._names[event_id] = line.event

    def handled(self, line: HistoryEntry) -> str:
        """The event that the line's step handles; empty if it is not known."""
        return self._names.get(_event_id(line.step_id or ""), "")

    def undone(self, line: HistoryEntry) -> str:
        """The step that the line's undo is for: what it handled, and whether it ever said what it did."""
        on = f"of its step on {handled}" if (handled := self.handled(line)) else "of its step"
        return f"{on}, of which nobody knows what it did" if line.step_id in self._unknown else on

    def cause(self, line: HistoryEntry) -> str:
        """The event that led to what the line tells, or, of a run's end and its undo, whatever else did."""
        if line.kind in _ENDS:
            return _word(line.reason or "") if line.reason != line.kind else ""
        if line.kind.startswith("undo_"):
            return self._failed_by
        if line.step_id and line.kind != "gathered":
            return self.handled(line)
        return self._names.get(line.cause or "", line.event or "")


def history_table(lines: Iterable[HistoryEntry], background: Background) -> Table:
    """When, what, by which worker or person, because of which event, and whatever else there is to say."""
    return table(("TIME", "WHAT", "WHO", "BECAUSE OF", "ABOUT"), [cells(line, background) for line in lines])


def history_line(line: HistoryEntry, background: Background) -> str:
    """The same as one line of text."""
    at, what, who, cause, told = (clean(cell) for cell in cells(line, background))
    return "  ".join(part for part in (at, f"{what:22}", who, cause, told) if part)


def cells(line: HistoryEntry, background: Background) -> tuple[str, str, str, str, str]:
    """The cells of a line, which `names` learns from."""
    background.learn(line)
    cause = background.cause(line)
    attempt = f"attempt {line.attempt}" if line.attempt else ""
    told = "; ".join(part for part in (attempt, _told(line, background), _said(line)) if part)
    return moment(line.at), line.kind, line.worker or line.by or "", cause, told


def _told(line: HistoryEntry, background: Background) -> str:
    """What happened, as far as the kind of the line does not say it."""
    detail, reason = line.detail, line.reason or ""
    match line.kind:
        case "event_emitted":
            return f"emits {line.event}" if line.step_id else "from outside"
        case "step_retrying" | "undo_failed":
            return f"{_failure(line)}; again after {duration(detail.get('delay_s'))}"
        case "step_dead" | "undo_stuck":
            return "letter discarded" if reason == "discarded" else f"dead letter, {_failure(line)}"
        case "step_late":
            return f"its run was failing already ({_word(reason)}): its events are withheld"
        case "step_refused":
            return f"not begun: {in_words(reason)}"
        case "step_skipped":
            return f"{line.event} instead of what it would have told"
        case "lease_lost":
            return "its process did not answer any more"
        case "gathered":
            return "the last event that it waited for"
        case "undo_started":
            return background.undone(line)
        case "stalled":
            return f"waits for somebody: {mark_in_words(reason)}"
        case "unstalled":
            return f"no longer: {mark_in_words(reason)}"
        case "cancel_requested":
            return f"refused: {in_words(detail['refused'])}" if "refused" in detail else _undo(detail)
        case "deadline_moved":
            return f"to {_time(detail['at'])}" + (
                f", was {_time(detail['before'])}" if detail.get("before") else ", there was none before"
            )
        case "timer_set" if "at" in detail:
            return f"timer {detail.get('key', '')}: {line.event}, due {_time(detail['at'])}"
        case "cancelled" if "left" in detail:
            return f"left as they are: {_listed(detail, 'left')}"
        case "failed" | "compensated" | "cancelled":
            said = ["nothing had to be undone"] if line.kind == "failed" else []
            kept = [f"without undo: {_listed(detail, 'not_undone')}"] if "not_undone" in detail else []
            return "; ".join([*said, *kept])
        case "redriven" if "edited" in detail:
            return "edited, with a new idempotency key" if detail.get("key") == "new" else "edited"
        case "paused" | "resumed" | "redriven":
            return ""
        case _:
            also = [] if line.kind in _ENDS or not reason else [_word(reason)]
            rest = [f"{name}={value}" for name, value in detail.items() if name not in ("why", "id")]
            return "; ".join([*also, *rest])


def _word(reason: str) -> str:
    return _CODES.get(reason, reason)


def mark_in_words(reason: str) -> str:
    """A reason why a run is stalled, as `dead:<step>`, in words."""
    mark, colon, step = reason.partition(":")
    if mark == "unroutable" and colon:
        return f"no queue takes {step}"
    return f"{_MARKS[mark]} of {_worker(step)}" if colon and mark in _MARKS else _word(reason)


def _failure(line: HistoryEntry) -> str:
    return ": ".join(part for part in (_word(line.reason or ""), line.detail.get("error")) if part)


def _undo(detail: Mapping[str, Any]) -> str:
    return "with undo" if detail.get("undo") else "without undo"


def _listed(detail: Mapping[str, Any], name: str) -> str:
    workers = [_worker(step) for step in detail[name]]
    more = detail.get(f"{name}_count", 0) - len(workers)
    return ", ".join([*workers, *([f"and {more} more"] if more > 0 else [])]) or "nothing"


def _time(text: str) -> str:
    return moment(datetime.fromisoformat(text))


def _worker(step: str) -> str:
    return step.partition(":")[0]


def _event_id(step: str) -> str:
    return step.partition(":")[2]


def _said(line: HistoryEntry) -> str:
    """Who did it, if a worker stands in that place, and why, in that person's words."""
    why = line.detail.get("why") or (line.reason if line.kind in _OF_PEOPLE else None)
    by = f"by {line.by}" if line.by and line.worker else ""
    return ": ".join(part for part in (by, why) if part)
