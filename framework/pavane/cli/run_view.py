"""One run for people: a tree of its steps, each under the step whose event it was begun with."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Final

from rich.text import Text
from rich.tree import Tree

from pavane.cli.history_view import mark_in_words
from pavane.cli.output import clean, duration, moment, styled, to_json
from pavane.cli.step_view import Known, add_step
from pavane.client.run_document import RunDocument, TimerInfo, run_document
from pavane.core.branches import begun_with
from pavane.core.identity import step_id
from pavane.core.kept import HeldJob, Join
from pavane.core.record import Letter, Record
from pavane.model.views import RunStatus, Step

ROOM_FOR_HOSTS: Final = 100
"""Columns."""


def run_line(run: RunStatus) -> Text:
    """`completed orders:1  order.confirmed  2.1 s`"""
    line = styled(run.status).append(f" {clean(run.run)}", style="bold default")
    if run.reason:
        line.append(f"  {clean(run.reason)}", style="default")
    if run.ended_at:
        line.append(f"  {duration((run.ended_at - run.started_at).total_seconds())}", style="dim")
    return line


def run_tree(record: Record, now: datetime, *, width: int) -> Tree:
    """The run, what it waits for and what to do about that, its steps with attempts, results and undo, its data.

    Args:
        now: by the clock of whoever looks, aware; what has not ended is said to have taken so long.
        width: columns; narrow, it leaves out which processes did the work.
    """
    document = run_document(record)
    run = document.run
    tree = Tree(run_line(run).append(f"  {moment(run.started_at)}", style="dim"), guide_style="dim")
    for line in _above(record, document, now):
        tree.add(line)
    _add_steps(tree, record, document, now, hosts=width >= ROOM_FOR_HOSTS)
    if run.data:
        tree.add(Text(f"data {to_json(run.data)}", style="dim"))
    return tree


def _above(record: Record, document: RunDocument, now: datetime) -> list[Text]:
    """What concerns the run as a whole, most pressing first."""
    run, names = document.run, _names(record)
    if run.ended_at:
        return []
    lines: list[Text] = []
    if run.paused:
        lines.append(
            Text(f"paused: `pavane runs resume {clean(run.run)}` lets it go on", style="bold yellow")
        )
    letters = {letter.step: letter for letter in _open_letters(record, document)}
    lines += [_stalled(mark, letters.pop(mark.partition(":")[2], None)) for mark in run.stalled]
    lines += [_letter(letter) for letter in letters.values()]
    lines += [_held(job, names) for job in sorted(record.held.values(), key=lambda job: job.order)]
    if run.phase == "running":
        joins = sorted(record.joins.values(), key=lambda join: (join.since, join.worker))
        lines += [_join(join) for join in joins if not join.fired]
    lines += [_timer(timer, now) for timer in document.timers]
    if run.deadline_at and run.phase == "running":
        lines.append(_due(f"deadline {moment(run.deadline_at)}", run.deadline_at, now))
    return lines


def _open_letters(record: Record, document: RunDocument) -> list[Letter]:
    """Letters that somebody has to decide about."""
    waits = [one.ref for one in document.run.waiting_for if one.kind in ("dead_letter", "undo_stuck")]
    return [record.letters[ref] for ref in waits]


def _stalled(mark: str, letter: Letter | None) -> Text:
    line = Text.assemble(("stalled: ", "bold red"), clean(mark_in_words(mark)))
    return line.append(f"; {_ask(letter)}") if letter else line


def _letter(letter: Letter) -> Text:
    of = "stuck undo" if letter.kind == "undo" else "dead letter"
    return Text(f"{of} of {clean(letter.worker)}; {_ask(letter)}", style="red")


def _ask(letter: Letter) -> str:
    return f"`pavane dlq show {clean(letter.id)}` says why"


def _held(job: HeldJob, names: dict[str, str]) -> Text:
    what = "the undo of " if job.kind == "undo" else ""
    on = f" on {clean(names[job.event])}" if job.event in names else ""
    return Text(f"held: {what}{clean(job.worker)}{on}")


def _join(join: Join) -> Text:
    there = [name for name, _ in join.arrived]
    missing = [name for name in join.names if name not in there]
    return Text(f"{clean(join.worker)} waits for {_and(missing)}; {_and(there)} is there", style="cyan")


def _and(names: list[str]) -> str:
    return " and ".join(clean(name) for name in names)


def _timer(timer: TimerInfo, now: datetime) -> Text:
    return _due(f"timer {clean(timer.key)}: {clean(timer.event)} at {moment(timer.at)}", timer.at, now)


def _due(text: str, at: datetime, now: datetime) -> Text:
    left = (at - now).total_seconds()
    return Text(text).append(f"  in {duration(left)}" if left > 0 else "  due", style="dim")


def _names(record: Record) -> dict[str, str]:
    """Events by their ids, as far as the record has kept them."""
    return {event.id: event.name for event in record.events.values()}


def _add_steps(tree: Tree, record: Record, document: RunDocument, now: datetime, *, hosts: bool) -> None:
    known = Known(
        names=_names(record),
        begun_with={row.step: begun_with(record, row) for row in record.steps.values()},
        letters={letter.step: letter.id for letter in record.letters.values() if not letter.answered},
        retries={one.ref: one.until for one in document.run.waiting_for if one.kind == "retry" and one.until},
        now=now,
        hosts=hosts,
    )
    below: defaultdict[str, list[Step]] = defaultdict(list)
    for step in document.steps:
        cause = _cause(record, document, step)
        below[cause if cause != step.step_id else ""].append(step)

    def add(branch: Tree, cause: str) -> None:
        for step in below.pop(cause, []):
            add(add_step(branch, step, known), step.step_id)

    add(tree, "")
    # A record written by hand may hold a circle; nothing of it may be missing.
    for cause in list(below):
        add(tree, cause)


def _cause(record: Record, document: RunDocument, step: Step) -> str:
    """The step that sent the last of the events that it was begun with, or set the timer that did."""
    emitter = {event: one for one in document.steps for event in one.emitted}
    causes: list[tuple[datetime, str]] = []
    for event in begun_with(record, record.steps[step.step_id]):
        sent_by = emitter.get(event)
        row = record.events.get(event)
        if sent_by is not None:
            causes.append((sent_by.ended_at or document.run.started_at, sent_by.step_id))
        elif row is not None and row.causation and step_id(row.producer, row.causation) in record.steps:
            causes.append((document.run.started_at, step_id(row.producer, row.causation)))
    return max(causes, default=(document.run.started_at, ""))[1]
