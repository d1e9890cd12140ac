"""`pavane dlq`: dead letters, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import Annotated, Literal

import typer
from rich.text import Text

from pavane.cli.exits import DONE, NO, NOT_FOUND
from pavane.cli.letter_edit import edit
from pavane.cli.letter_index import reindex
from pavane.cli.letter_options import filtered
from pavane.cli.options import By, Cursor, DryRun, Limit, Reason, Yes
from pavane.cli.output import Output, clean, moment, table, to_json
from pavane.cli.runs import tell_cursor
from pavane.cli.session import Connected, Session, session_of
from pavane.client import letter_choice
from pavane.client.letter_filter import LetterFilter
from pavane.client.listing import page_of
from pavane.client.refusals import in_words
from pavane.model.views import BulkReport, DeadLetter, DeadLetterGroup, Page

commands = typer.Typer(no_args_is_help=True, help="Look at dead letters, redrive, edit and discard them.")

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter there is.")]
Unmask = Annotated[bool, typer.Option("--unmask", help="Show marked fields too; this version masks none.")]
AtMost = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, oldest first.")]


@commands.command("ls")
@filtered
def ls(
    context: typer.Context,
    filter: LetterFilter,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List dead letters, oldest first.

    Example: pavane dlq ls --worker payments.charge --since 2h
    """
    session = session_of(context)

    async def work(connected: Connected) -> None:
        _print_letters(session.out, await connected.client.dead_letters.list(**filter).page(limit, cursor))

    session.with_client(work)


def _print_letters(out: Output, page: Page[DeadLetter]) -> None:
    if out.json:
        out.document(page)
        return
    rows = [
        (
            one.id,
            moment(one.dead_at),
            one.worker + (" (undo)" if one.kind == "undo" else ""),
            one.run or "",
            one.reason + (" (answered, nothing to do)" if one.answered else ""),
            f"{one.error_type or ''}: {one.error or ''}",
        )
        for one in page.items
    ]
    out.show(table(("ID", "DIED", "WORKER", "RUN", "REASON", "ERROR"), rows))
    tell_cursor(out, page.cursor)


@commands.command("groups")
@filtered
def groups(
    context: typer.Context,
    filter: LetterFilter,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """What letters died of: by worker, exception and place in your code, the largest group first.

    Each page counts afresh.

    Example: pavane dlq groups --since 1h
    """
    session = session_of(context)

    async def work(connected: Connected) -> None:
        found = await connected.client.dead_letters.groups(**filter)
        _print_groups(session.out, page_of(found, limit, cursor))

    session.with_client(work)


def _print_groups(out: Output, page: Page[DeadLetterGroup]) -> None:
    if out.json:
        out.document(page)
        return
    rows = [
        (
            one.fingerprint,
            str(one.count),
            one.worker,
            f"{one.error_type or ''}: {one.error or ''}",
            one.where or "",
            moment(one.first_at),
            moment(one.last_at),
            one.example_id,
        )
        for one in page.items
    ]
    titles = ("FINGERPRINT", "LETTERS", "WORKER", "LAST ERROR", "WHERE", "FIRST", "LAST", "EXAMPLE")
    out.show(table(titles, rows))
    tell_cursor(out, page.cursor)


@commands.command("export")
@filtered
def export(context: typer.Context, filter: LetterFilter, unmask: Unmask = False) -> None:
    """Write dead letters with all that is known, oldest first: one JSON object a line, as they are read.

    Example: pavane dlq export --worker payments.charge > letters.jsonl
    """
    session = session_of(context)

    async def work(connected: Connected) -> None:
        async for letter in connected.client.dead_letters.list(**filter):
            session.out.document(letter)

    session.with_client(work)


@commands.command("show")
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID")],
    unmask: Unmask = False,
) -> None:
    """Show a dead letter with all that is known.

    Example: pavane dlq show af899e926e61bfc9
    """
    session = session_of(context)

    async def work(connected: Connected) -> None:
        letter = await connected.client.dead_letters.get(id)
        if session.out.json:
            session.out.document(letter)
        else:
            session.out.show(*_pages_of(letter))

    session.with_client(work)


def _pages_of(letter: DeadLetter) -> Sequence[Text]:
    facts = letter.model_dump(mode="json", exclude={"event", "attempts", "traceback", "headers", "error"})
    lines = [Text(f"{name:12} {clean(value)}") for name, value in facts.items() if value is not None]
    lines.append(Text.assemble(("error        ", "red"), clean(letter.error or "")))
    if letter.event:
        lines.append(Text(f"event        {clean(letter.event.name)} {clean(letter.event.id)}"))
        lines.append(Text(f"payload      {to_json(letter.event.payload)}"))
    for one in letter.attempts:
        lines.append(
            Text(
                f"attempt {one.attempt:<4} {moment(one.started_at)}  {clean(one.host or '')}  "
                f"{one.outcome or 'running'}  {clean(one.error_type or '')}: {clean(one.error or '')}"
            )
        )
    lines += [Text(f"  {clean(name)}: {clean(value)}", style="dim") for name, value in letter.headers.items()]
    # Indented: a line break in an error's text must not look like a line of ours.
    return [*lines, Text(indent(clean(letter.traceback or "", lines=True), "  | "), style="dim")]


@commands.command("redrive")
@filtered
def redrive(
    context: typer.Context,
    filter: LetterFilter,
    ids: Ids = None,
    all_: All = False,
    limit: AtMost = None,
    rate: Annotated[float | None, typer.Option("--rate", help="At most so many a second.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Answered ones too.")] = False,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Send jobs back to their workers, with all their attempts before them.

    Example: pavane dlq redrive --worker payments.charge --reason "the bank is back" --dry-run
    """
    session = session_of(context)

    async def work(connected: Connected) -> BulkReport:
        return await connected.client.dead_letters.redrive(
            *(ids or ()),
            everything=all_,
            limit=limit,
            rate=rate,
            dry_run=dry_run,
            force=force,
            reason=reason,
            by=by,
            **filter,
        )

    session.confirm("Redrive these dead letters?", yes=yes or dry_run)
    _end(session, ids or (), session.with_client(work, by=by), "redriven")


commands.command("edit")(edit)
commands.command("reindex")(reindex)


@commands.command("discard")
@filtered
def discard(
    context: typer.Context,
    filter: LetterFilter,
    ids: Ids = None,
    all_: All = False,
    limit: AtMost = None,
    then: Annotated[
        Literal["compensate", "leave"] | None,
        typer.Option("--then", help="What becomes of a live run that waits for the letter."),
    ] = None,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Drop dead letters for good.

    Example: pavane dlq discard af899e926e61bfc9 --then compensate --reason "the card is stolen" --yes
    """
    session = session_of(context)

    async def work(connected: Connected) -> BulkReport:
        return await connected.client.dead_letters.discard(
            *(ids or ()),
            everything=all_,
            limit=limit,
            dry_run=dry_run,
            reason=reason,
            by=by,
            then=then,
            **filter,
        )

    session.confirm("Drop these dead letters for good?", yes=yes or dry_run)
    _end(session, ids or (), session.with_client(work, by=by), "discarded")


def _end(session: Session, ids: Sequence[str], report: BulkReport, done: str) -> None:
    if session.out.json:
        session.out.document(report)
    else:
        would = "would be " if report.dry_run else ""
        session.out.show(f"{report.done} of {report.matched} {would}{done}")
        for id_ in report.ids if report.dry_run else ():
            session.out.show(f"  {clean(id_)}")
        for one in report.skipped:
            session.out.show(f"  {clean(one.id)}: {clean(in_words(one.reason))}")
    if code := _code(ids, report):
        raise typer.Exit(code)


def _code(ids: Sequence[str], report: BulkReport) -> int:
    if not report.skipped:
        return DONE
    unknown = {one.id for one in report.skipped if one.reason == letter_choice.NOT_FOUND}
    return NOT_FOUND if ids and unknown >= set(ids) else NO
