"""One run for people: a tree of its steps, each under the step whose event it handles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich.text import Text
from rich.tree import Tree

from pavane.cli.output import clean, duration, moment, styled, to_json
from pavane.client.run_document import RunDocument, TimerInfo
from pavane.model.views import Attempt, RunStatus, Step, Waiting


def run_line(run: RunStatus) -> Text:
    """`completed orders:1  order.confirmed  2.1 s`"""
    line = styled(run.status).append(f" {clean(run.run)}", style="bold default")
    if run.reason:
        line.append(f"  {clean(run.reason)}", style="default")
    if run.ended_at:
        line.append(f"  {duration((run.ended_at - run.started_at).total_seconds())}", style="dim")
    return line


def run_tree(document: RunDocument) -> Tree:
    """The run, why it is stuck if it is, and its steps with attempts, results and undo."""
    run = document.run
    tree = Tree(run_line(run).append(f"  {moment(run.started_at)}", style="dim"), guide_style="dim")
    if run.paused:
        tree.add(Text(f"paused; `pavane runs resume {clean(run.run)}` lets it go on", style="bold yellow"))
    for reason in run.stalled:
        tree.add(Text.assemble(("stalled ", "bold red"), clean(reason)))
    for waiting in run.waiting_for:
        if waiting.kind != "timer":  # the timers themselves say more
            tree.add(_waiting(waiting))
    for timer in document.timers:
        tree.add(_timer(timer))
    _add_steps(tree, document.steps)
    if run.data:
        tree.add(Text(f"data {to_json(run.data)}", style="dim"))
    return tree


def _waiting(waiting: Waiting) -> Text:
    if waiting.kind == "held":
        return Text(f"held until the run is resumed: {clean(waiting.ref)}")
    line = Text(f"waits for {clean(waiting.kind)} {clean(waiting.ref)}")
    if waiting.worker and waiting.worker != waiting.ref:
        line.append(f"  {clean(waiting.worker)}")
    if waiting.until:
        line.append(f"  until {moment(waiting.until)}", style="dim")
    return line


def _timer(timer: TimerInfo) -> Text:
    return Text(f"timer {clean(timer.key)}: {clean(timer.event)} at {moment(timer.at)}")


def _add_steps(tree: Tree, steps: Sequence[Step]) -> None:
    emitter = {event: step.step_id for step in steps for event in step.emitted}
    below: defaultdict[str, list[Step]] = defaultdict(list)
    for step in steps:
        cause = emitter.get(step.event.id, "") if step.event else ""
        below[cause if cause != step.step_id else ""].append(step)

    def add(branch: Tree, cause: str) -> None:
        for step in below.pop(cause, []):
            add(_add_step(branch, step), step.step_id)

    add(tree, "")
    # A record written by hand may hold a circle; nothing of it may be missing.
    for cause in list(below):
        add(tree, cause)


def _add_step(branch: Tree, step: Step) -> Tree:
    line = styled(step.status).append(f" {clean(step.worker)}", style="bold default")
    if step.event:
        line.append(f"  on {clean(step.event.name)}", style="default")
    if step.result:
        line.append(f" → {clean(step.result.name)}", style="default")
    if step.closing:
        line.append("  closing", style="dim")
    if step.duration_s is not None:
        line.append(f"  {duration(step.duration_s)}", style="dim")
    if len(step.attempts) == 1 and not step.error:
        line.append(f"  {clean(step.attempts[0].host or '')}", style="dim")
    leaf = branch.add(line)
    if step.progress is not None or step.note:
        leaf.add(Text(f"{step.progress or 0:.0%} {clean(step.note or '')}", style="dim"))
    if len(step.attempts) > 1 or step.error:
        for attempt in step.attempts:
            leaf.add(_attempt(attempt))
    if step.next_attempt_at:
        leaf.add(Text(f"next attempt {moment(step.next_attempt_at)}", style="yellow"))
    if step.undo:
        _add_undo(leaf, step)
    return leaf


def _add_undo(leaf: Tree, step: Step) -> None:
    if step.undo is None:
        return
    undo = leaf.add(
        styled(step.undo.status).append(f"  by its undo (outcome {step.undo.outcome})", style="default")
    )
    for attempt in step.undo.attempts:
        undo.add(_attempt(attempt))


def _attempt(attempt: Attempt) -> Text:
    outcome = attempt.outcome or "running"
    line = Text(f"attempt {attempt.attempt} ", style="dim").append_text(styled(outcome))
    line.append(f"  {clean(attempt.host or '')}", style="dim")
    if attempt.ended_at:
        line.append(f"  {duration((attempt.ended_at - attempt.started_at).total_seconds())}", style="dim")
    if attempt.error or attempt.error_type:
        line.append(f"  {clean(attempt.error_type or '')}: {clean(attempt.error or '')}", style="default")
    if attempt.delay_s is not None:
        line.append(f"  again after {duration(attempt.delay_s)}", style="dim")
    return line
