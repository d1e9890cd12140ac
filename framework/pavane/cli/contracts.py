"""`pavane contracts`: what an app promises, written down, and compared with what it promised before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from pavane.cli.exits import NO
from pavane.cli.loading import load_app
from pavane.cli.options import AppArgument
from pavane.cli.output import Output, styled, table
from pavane.cli.session import Session, session_of
from pavane.core.contract_changes import ContractChange, changes
from pavane.core.contracts import Contracts, contracts_of
from pavane.errors import UsageError

commands = typer.Typer(no_args_is_help=True, help="Write contracts down, and compare them.")

_Document = "A file that `export` has made, - for standard input, or module:app."


@commands.command("export")
def export(context: typer.Context, app: AppArgument = None) -> None:
    """Write events (name, versions, schema, owner) and workflows (how runs start and end) as JSON.

    Example: pavane contracts export shop:app > contracts.json
    """
    session = session_of(context)
    document = _contracts_of(session, app)
    session.out.file(document.model_dump(mode="json", by_alias=True))


@commands.command("diff")
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help=_Document)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=_Document)],
) -> None:
    """Name every change between two releases; exit code 1 if they cannot run side by side.

    A change breaks if new readers refuse what old ones have sent or stored, or old readers what new writers send.

    Example: pavane contracts diff contracts.json shop:app
    """
    session = session_of(context)
    if (old, new) == ("-", "-"):
        raise UsageError("Both documents from standard input?", remedy="Give one of them as a file.")
    found = changes(_read(session, old), _read(session, new))
    breaking = any(change.breaking for change in found)
    _print(session.out, found, breaking=breaking)
    if breaking:
        raise typer.Exit(NO)


def _contracts_of(session: Session, app: str | None) -> Contracts:
    loaded = load_app(app, session.settings())
    return contracts_of(loaded.workers, loaded.workflows, loaded.events)


def _read(session: Session, given: str) -> Contracts:
    """
    Raises:
        UsageError: it cannot be read, or is no such document.
    """
    if given == "-":
        return _parse(sys.stdin.buffer.read(), "Standard input")
    if ":" in given and not Path(given).exists():
        return _contracts_of(session, given)
    try:
        return _parse(Path(given).read_bytes(), f"{given!a:.200}")
    except OSError as error:
        message = f"{given!a:.200} cannot be read: {error.strerror}."
        raise UsageError(message, remedy="Make it with `pavane contracts export`.") from None


def _parse(content: bytes, what: str) -> Contracts:
    try:
        return Contracts.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = f"{what} is no contracts document: {where + ': ' if where else ''}{first['msg']}."
        raise UsageError(message, remedy="Make it with `pavane contracts export`.") from None


def _print(out: Output, found: Sequence[ContractChange], *, breaking: bool) -> None:
    if out.json:
        listed = [asdict(change) | {"remedy": change.remedy or None} for change in found]
        out.document({"breaking": breaking, "changes": listed})
        return
    if not found:
        out.show("Nothing has changed.")
        return
    rows = [
        (
            styled("error" if change.breaking else "ok"),
            f"{change.event or ''}{f' v{change.version}' if change.version else ''}",
            change.path,
            change.change,
            change.remedy,
        )
        for change in found
    ]
    out.show(table(("STATUS", "EVENT", "PATH", "CHANGE", "REMEDY"), rows))
