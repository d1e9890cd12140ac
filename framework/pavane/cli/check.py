"""`pavane check`: is the choreography sound, over all programs that take part in it?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pavane.cli.apps import programs_of
from pavane.cli.exits import NO
from pavane.cli.output import Output, clean, styled
from pavane.cli.session import session_of
from pavane.core.choreography import Finding, Program
from pavane.core.choreography_findings import accepted_by, findings_of, is_ok, matching_nothing
from pavane.model.source import Place


def check(
    context: typer.Context,
    apps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="APP|FOLDER",
            help="module:app, several of them, or a folder whose apps are all taken; without it PAVANE_APP.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
) -> None:
    """Find what cannot be meant between workers, workflows and events. Exit code 1 if there is something.

    Give all programs that take part: what one sends, another hears. Nothing is run and no server is asked.

    Example: pavane check services/ --strict
    """
    session = session_of(context)
    programs = programs_of(apps or (), session.settings())
    findings = findings_of(programs)
    well = is_ok(findings, strict=strict)
    if session.out.json:
        session.out.document({"ok": well, "findings": [as_json(finding) for finding in findings]})
    else:
        _show(session.out, programs, findings)
    if not well:
        raise typer.Exit(NO)


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding, as programs read it; `allowed` is the reason, or null."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "subject": finding.subject,
        "message": finding.message,
        "file": _file(finding.place),
        "line": finding.place.line,
        "remedy": finding.remedy,
        "allowed": finding.allowed,
    }


def _show(out: Output, programs: Sequence[Program], findings: Sequence[Finding]) -> None:
    for one in matching_nothing(accepted_by(programs), findings):
        out.note(f"Warning: Allow({one.code!r}, {one.subject!r}) accepts nothing that is found; it may go.")
    workers = len({worker.name for program in programs for worker in program.workers})
    if not findings:
        out.show(f"Nothing found: {len(programs)} apps, {workers} workers.")
        return
    for finding in findings:
        status = styled("allowed" if finding.allowed else finding.severity)
        out.show(status.append(f" {_headline(finding)}", style="default"))
        out.show(clean(f"  {finding.message}"))
        out.show(clean(f"  Allowed: {finding.allowed}" if finding.allowed else f"  {finding.remedy}"))


def _headline(finding: Finding) -> str:
    where = f"  {_file(finding.place)}:{finding.place.line}" if finding.place.file else ""
    return clean(f"{finding.code} {finding.subject}{where}")


def _file(place: Place) -> str | None:
    """From the present folder, if it is below it."""
    if place.file is None:
        return None
    file, here = Path(place.file), Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
