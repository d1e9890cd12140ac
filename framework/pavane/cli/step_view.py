"""One step of a run for people, as a branch of the run's tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.text import Text
from rich.tree import Tree

from pavane.cli.output import STYLES, clean, duration, moment, styled
from pavane.model.views import Attempt, Step, UndoInfo

_STANDS: Final = {"undoing": "due", "undone": "done", "undo_stuck": "stuck"}

AT_WORK: Final = ("running", "retrying", "undoing")
"""States of a step in which it is worth knowing how far its handler says it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a step's line needs of the run beside the step.

    Attributes:
        names: events by their ids.
        begun_with: by step, the ids of its events: several for a join's.
        letters: by step, its dead letter that waits for somebody.
        retries: by step, when it, or its undo, is tried again.
        hosts: whether there is room to say which process it was.
    """

    names: Mapping[str, str]
    begun_with: Mapping[str, tuple[str, ...]]
    letters: Mapping[str, str]
    retries: Mapping[str, datetime]
    now: datetime
    hosts: bool = True


def add_step(branch: Tree, step: Step, known: Known) -> Tree:
    """Add the step's line; what is returned takes the lines of the steps that it caused."""
    leaf = branch.add(_line(step, known))
    if step.status in AT_WORK and (step.progress is not None or step.note):
        progress = "" if step.progress is None else f"{step.progress:.0%} "
        leaf.add(Text(f"{progress}{clean(step.note or '')}".rstrip(), style="cyan"))
    if _has_story(step):
        for attempt in step.attempts:
            leaf.add(_attempt(attempt, known))
    if step.status == "retrying":
        _add_next(leaf, step, known)
    if step.step_id in known.letters and step.undo is None:
        leaf.add(Text(f"dead letter {clean(known.letters[step.step_id])}", style="red"))
    if step.undo:
        _add_undo(leaf, step, step.undo, known)
    return leaf


def _line(step: Step, known: Known) -> Text:
    line = styled(step.status).append(f" {clean(step.worker)}", style="bold default")
    if heard := _heard(step, known):
        line.append(f"  on {heard}", style="default")
    if sent := _sent(step, known):
        line.append(f" → {sent}", style="default")
    if step.closing:
        line.append("  closing", style="dim")
    if step.duration_s is not None:
        line.append(f"  {duration(step.duration_s)}", style="dim")
    elif step.status == "running" and step.attempts:
        began = step.attempts[-1].started_at
        line.append(f"  for {duration(max((known.now - began).total_seconds(), 0))}", style="cyan")
    if len(step.attempts) == 1 and not step.error:
        _add_host(line, step.attempts[0], known)
    return line


def _heard(step: Step, known: Known) -> str:
    ids = known.begun_with.get(step.step_id, ())
    named = [known.names[event] for event in ids if event in known.names]
    return " and ".join(map(clean, named)) or (clean(step.event.name) if step.event else "")


def _sent(step: Step, known: Known) -> str:
    """The result first, then what else it emitted; an event that the record has not kept is only counted."""
    result = [step.result.name] if step.result else []
    others = [event for event in step.emitted if step.result is None or event != step.result.id]
    named = [known.names[event] for event in others if event in known.names]
    unnamed = len(others) - len(named)
    told = [clean(name) for name in (*result, *named)]
    if unnamed:
        told.append(f"{unnamed} more" if told else f"{unnamed} event{'s' if unnamed > 1 else ''}")
    return ", ".join(told)


def _has_story(step: Step) -> bool:
    """Whether its attempts say more than its line does."""
    odd = [one for one in step.attempts if one.error or one.outcome not in (None, "committed")]
    return len(step.attempts) > 1 or bool(odd)


def _attempt(attempt: Attempt, known: Known) -> Text:
    outcome = attempt.outcome or "running"
    line = Text(f"attempt {attempt.attempt} ", style="dim").append_text(styled(outcome))
    _add_host(line, attempt, known)
    if attempt.ended_at:
        line.append(f"  {duration((attempt.ended_at - attempt.started_at).total_seconds())}", style="dim")
    if attempt.error or attempt.error_type:
        line.append(f"  {clean(attempt.error_type or '')}: {clean(attempt.error or '')}", style="default")
    if attempt.delay_s is not None:
        line.append(f"  again after {duration(attempt.delay_s)}", style="dim")
    return line


def _add_host(line: Text, attempt: Attempt, known: Known) -> None:
    if known.hosts and attempt.host:
        line.append(f"  {clean(attempt.host)}", style="dim")


def _add_next(leaf: Tree, step: Step, known: Known) -> None:
    at = known.retries.get(step.step_id) or step.next_attempt_at
    if at is not None:
        left = (at - known.now).total_seconds()
        when = f"  in {duration(left)}" if left > 0 else "  due"
        leaf.add(Text(f"next attempt {moment(at)}{when}", style="yellow"))


def _add_undo(leaf: Tree, step: Step, undo: UndoInfo, known: Known) -> None:
    unknown = "  of an outcome that nobody knows" if undo.outcome == "unknown" else ""
    line = Text("undo ", style="dim")
    line.append(_STANDS[undo.status], style=STYLES[undo.status]).append(unknown, style="default")
    alone = len(undo.attempts) == 1 and not undo.attempts[0].error
    if alone:
        [attempt] = undo.attempts
        if attempt.ended_at:
            line.append(f"  {duration((attempt.ended_at - attempt.started_at).total_seconds())}", style="dim")
        _add_host(line, attempt, known)
    branch = leaf.add(line)
    if not alone:
        for attempt in undo.attempts:
            branch.add(_attempt(attempt, known))
    if undo.status == "undoing" and step.step_id in known.retries:
        _add_next(branch, step, known)
    if undo.status == "undo_stuck" and step.step_id in known.letters:
        branch.add(Text(f"dead letter {clean(known.letters[step.step_id])}", style="red"))
