"""Whether the programs mean the same by an event's name, and by a workflow's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pavane.core.choreography import Choreography, Contract, Finding, Payload, Program
from pavane.core.schema_changes import changes_between
from pavane.model.source import Place


def schema_findings(choreography: Choreography) -> Iterator[Finding]:
    """`schema_mismatch`, once for each pair of programs that do not understand each other."""
    yield from _payloads(choreography)
    yield from _workflows(choreography)


def unreadable(written: Payload, read: Payload) -> str | None:
    """Why a reader that has `read` refuses what a writer that has `written` sends; `None` if it does not."""
    if written.version not in read.reads:
        newer = written.version > read.version
        missing = "it is newer" if newer else "no upcaster lifts it"
        return f"version {written.version} is sent and version {read.version} read, and {missing}"
    if written.version != read.version or written.schema is None or read.schema is None:
        return None
    # What has a default is always written, so a reader may require it.
    changes = [
        change
        for change in changes_between(written.schema, read.schema)
        if change.narrows and change.change != "field_made_required"
    ]
    if not changes:
        return None
    told = ", ".join(f"{one.path or 'payload'} ({one.change})" for one in changes)
    return f"the reader refuses what the writer sends: {told}"


def _payloads(choreography: Choreography) -> Iterator[Finding]:
    told: set[tuple[str, Place, Place]] = set()
    for writer in choreography.programs:
        written = {payload.event: payload for payload in writer.payloads}
        for reader in choreography.programs:
            for read in reader.payloads:
                one = written.get(read.event)
                if (
                    one is None
                    or one == read
                    or not _sends(writer, read.event)
                    or not _hears(reader, read.event)
                ):
                    continue
                why = unreadable(one, read)
                # Apps that share the classes say the same thing once.
                if why and (read.event, one.place, read.place) not in told:
                    told.add((read.event, one.place, read.place))
                    yield _mismatch(read, writer.name, reader.name, why)


def _sends(program: Program, event: str) -> bool:
    started = any(workflow.starts_with == event for workflow in program.workflows)
    return started or event in program.outside or any(event in worker.sends for worker in program.workers)


def _hears(program: Program, event: str) -> bool:
    return any(event in worker.hears for worker in program.workers)


def _mismatch(read: Payload, writer: str, reader: str, why: str) -> Finding:
    return Finding(
        code="schema_mismatch",
        severity="error",
        subject=read.event,
        message=f"{writer} sends it and {reader} hears it, but {why}.",
        place=read.place,
        remedy="Let both import one class; a new shape is a new version with an upcaster, and readers are "
        "deployed before writers.",
    )


def _workflows(choreography: Choreography) -> Iterator[Finding]:
    first: dict[str, tuple[Contract, str]] = {}
    for program in choreography.programs:
        for workflow in program.workflows:
            known, name = first.setdefault(workflow.name, (workflow, program.name))
            if replace(known, place=workflow.place) != workflow:
                yield Finding(
                    code="schema_mismatch",
                    severity="error",
                    subject=workflow.name,
                    message=f"{name} and {program.name} load different contracts of it.",
                    place=workflow.place,
                    remedy="Let both import one definition: a run goes by the contract of whoever started it.",
                )
