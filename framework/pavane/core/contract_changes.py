"""What has changed between the contracts of two releases, and whether the two can run side by side.

During a deployment both releases run, on the same queues and records. So a change breaks if new readers refuse
what old writers have sent or stored, or if old readers refuse what new writers send. A new version of an event
mends both: an upcaster lifts what is old, and old readers let a version that they do not know wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pavane.core.contracts import Contracts, EventContract, WorkflowContract
from pavane.core.schema_changes import SchemaChange, changes_between


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChange:
    """One difference.

    Attributes:
        event: the event it is about; `None` where only a workflow is.
        version: of the event in the newer release, in the older one if it is gone.
        path: of the field; `workflow <name>` where it is about that; empty: the event as a whole.
        change: what happened, a code.
        remedy: what to do; empty if there is nothing to do.
    """

    event: str | None
    version: int | None
    path: str
    change: str
    breaking: bool
    remedy: str = ""


def changes(old: Contracts, new: Contracts) -> list[ContractChange]:
    """Every change from `old` to `new`: events by name, then workflows by name."""
    before = {event.name: event for event in old.events}
    after = {event.name: event for event in new.events}
    flows_before = {flow.name: flow for flow in old.workflows}
    flows_after = {flow.name: flow for flow in new.workflows}
    found: list[ContractChange] = []
    for name in sorted(before | after):
        found += _of_event(before.get(name), after.get(name))
    for name in sorted(flows_before | flows_after):
        found += _of_workflow(flows_before.get(name), flows_after.get(name))
    return found


# events


def _of_event(old: EventContract | None, new: EventContract | None) -> Iterator[ContractChange]:
    if old is None and new is not None:
        yield _about(new, "event_added")
    elif new is None and old is not None:
        remedy = "Keep the class and its readers until no message and no live run holds one."
        yield _about(old, "event_removed", breaking=True, remedy=remedy)
    elif old is not None and new is not None:
        yield from _of_version(old, new)
        yield from (_of_schema(old, new, one) for one in changes_between(old.payload, new.payload))
        if old.owner != new.owner:
            yield _about(new, "owner_changed")


def _of_version(old: EventContract, new: EventContract) -> Iterator[ContractChange]:
    if new.version < old.version:
        remedy = f"Give it version {old.version} again: versions only grow."
        yield _about(new, "version_lowered", breaking=True, remedy=remedy)
    elif new.version > old.version:
        lifted = old.version in new.reads
        remedy = _deploy(old) if lifted else _upcast(new, old.version)
        yield _about(new, "version_raised", breaking=not lifted, remedy=remedy)
    for version in sorted(set(old.reads) - set(new.reads) - {old.version}):
        yield _about(new, "old_version_refused", breaking=True, remedy=_upcast(new, version))


def _of_schema(old: EventContract, new: EventContract, change: SchemaChange) -> ContractChange:
    widens = change.widens and (new.outside or not change.outside_only)
    if new.version > old.version:
        # Old readers wait for the new version; only what cannot be lifted is refused by the new ones.
        breaking = change.narrows and old.version not in new.reads
        remedy = _upcast(new, old.version)
    else:
        breaking = change.narrows or widens
        remedy = _mend(change, new)
    return _about(new, change.change, change.path, breaking=breaking, remedy=remedy if breaking else "")


def _mend(change: SchemaChange, new: EventContract) -> str:
    raise_it = (
        f"raise {new.name} to version {new.version + 1} and add an upcaster(from_version={new.version})."
    )
    if change.change in ("required_field_added", "field_made_required"):
        return f"Give the field a default, or {raise_it}"
    if change.change == "field_removed":
        return f"Keep the field, or {raise_it}"
    return raise_it[0].upper() + raise_it[1:]


def _upcast(new: EventContract, version: int) -> str:
    return (
        f"Add an upcaster(from_version={version}) to the class of {new.name}, and one for each version above."
    )


def _deploy(old: EventContract) -> str:
    readers = ", ".join(old.read_by)
    if not readers:
        return ""
    return f"Deploy its readers ({readers}) at most ten minutes after its first writer: so long the old ones wait."


def _about(
    event: EventContract, change: str, path: str = "", *, breaking: bool = False, remedy: str = ""
) -> ContractChange:
    return ContractChange(
        event=event.name, version=event.version, path=path, change=change, breaking=breaking, remedy=remedy
    )


# workflows


def _of_workflow(old: WorkflowContract | None, new: WorkflowContract | None) -> Iterator[ContractChange]:
    if old is None and new is not None:
        yield _of_run(new, "workflow_added", event=new.starts_with)
    elif new is None and old is not None:
        remedy = "Keep it until nobody starts it and its last run has ended."
        yield _of_run(old, "workflow_removed", event=old.starts_with, remedy=remedy)
    elif old is not None and new is not None:
        yield from _of_start(old, new)
        yield from _of_endings(old, new, "completes_with", old.completes_with, new.completes_with)
        yield from _of_endings(old, new, "fails_with", old.fails_with, new.fails_with)
        if old.deadline_s != new.deadline_s:
            yield _of_run(new, "deadline_changed")  # a run keeps the one that it began with


def _of_start(old: WorkflowContract, new: WorkflowContract) -> Iterator[ContractChange]:
    if old.starts_with != new.starts_with:
        remedy = f"Make another workflow for {new.starts_with}, and keep this one until nobody starts it."
        yield _of_run(new, "start_changed", event=new.starts_with, remedy=remedy)


def _of_endings(
    old: WorkflowContract, new: WorkflowContract, where: str, before: tuple[str, ...], after: tuple[str, ...]
) -> Iterator[ContractChange]:
    for event in before:
        if event not in after:
            # A run keeps the endings that it began with: it waits for this one, or takes it otherwise than new runs.
            remedy = f"Keep {event} there, and let it be emitted, until the last run that knows it has ended."
            yield _of_run(new, f"{where}_removed", event=event, remedy=remedy)
    for event in after:
        if event not in before:
            yield _of_run(new, f"{where}_added", event=event)


def _of_run(
    workflow: WorkflowContract, change: str, *, event: str | None = None, remedy: str = ""
) -> ContractChange:
    """A change of a workflow breaks if there is something to do about it."""
    return ContractChange(
        event=event,
        version=None,
        path=f"workflow {workflow.name}",
        change=change,
        breaking=bool(remedy),
        remedy=remedy,
    )
