"""`pavane runs cancel`, `pause`, `resume`, `compensate`, `skip` and `deadline`: what people do to runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pavane.app import App
from pavane.cli.exits import DONE, NO
from pavane.cli.loading import load_app
from pavane.cli.options import AppOption, By, DryRun, Reason, Yes, read_ahead, read_payload
from pavane.cli.output import clean
from pavane.cli.run_options import Meant, RunArgument, meaning
from pavane.cli.run_view import run_line
from pavane.cli.session import Connected, Session, session_of
from pavane.client.refusals import in_words, refused
from pavane.client.steering import PARTICIPLES, Wish, steer_all
from pavane.errors import UndeclaredEvent, UsageError
from pavane.model.event import Event
from pavane.model.views import BulkReport, RunStatus
from pavane.model.wire import decode


@meaning
def cancel(
    context: typer.Context,
    meant: Meant,
    no_undo: Annotated[bool, typer.Option("--no-undo", help="Leave what was done as it is.")] = False,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """End runs: nothing begins any more, and what was done is undone.

    A filter finds runs that have not ended, unless --status says otherwise.

    Example: pavane runs cancel orders:7 --reason "the customer gave up" --yes
    """
    wish = Wish(verb="cancel", undo=not no_undo, reason=reason)
    _steer(session_of(context), wish, meant, dry_run=dry_run, by=by, yes=yes)


@meaning
def compensate(
    context: typer.Context,
    meant: Meant,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Give runs up, stalled ones most of all: they fail, and what was done is undone.

    A filter finds runs that have not ended, unless --status says otherwise.

    Example: pavane runs compensate --status stalled --workflow orders --reason "the bank has closed" --yes
    """
    wish = Wish(verb="compensate", reason=reason)
    _steer(session_of(context), wish, meant, dry_run=dry_run, by=by, yes=yes)


@meaning
def pause(
    context: typer.Context,
    meant: Meant,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Let no further step or undo of these runs begin; what runs, finishes, and deadlines go on.

    A filter finds runs that have not ended, unless --status says otherwise.

    Example: pavane runs pause --workflow orders --reason "the warehouse moves" --yes
    """
    wish = Wish(verb="pause", reason=reason)
    _steer(session_of(context), wish, meant, dry_run=dry_run, by=by, yes=yes)


@meaning
def resume(
    context: typer.Context,
    meant: Meant,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Let paused runs go on; what was held goes back to its queues, in order.

    A filter finds runs that have not ended, unless --status says otherwise.

    Example: pavane runs resume --status paused --workflow orders --yes
    """
    wish = Wish(verb="resume", reason=reason)
    _steer(session_of(context), wish, meant, dry_run=dry_run, by=by, yes=yes)


def skip(
    context: typer.Context,
    run: RunArgument,
    step: Annotated[str, typer.Argument(metavar="STEP", help="<service.worker>:<event id>")],
    event: Annotated[str, typer.Option("--event", metavar="NAME", help="An event that the worker emits.")],
    app: AppOption = None,
    payload: Annotated[str, typer.Option("--payload", metavar="JSON|@FILE|-", help="Of the event.")] = "{}",
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Go on without a step that is dead or waits for a retry: the event is committed instead.

    Example: pavane runs skip orders:7 payments.charge:e7d6457d-2df0-559d-aa4d-5ced17b5ad11
    --event payments.charged --payload @charged.json --reason "paid by transfer" --yes
    """
    session = session_of(context)
    declared = _declared(load_app(app, session.settings()), step.partition(":")[0], event)
    result = decode(declared, read_payload(payload), declared.event_version)

    async def work(connected: Connected) -> RunStatus:
        return await connected.client.run(run).skip(step, result, reason=reason)

    session.confirm(f"Commit {event} instead of {clean(step)}?", yes=yes)
    _tell(session, session.with_client(work, by=by))


def deadline(
    context: typer.Context,
    run: RunArgument,
    to: Annotated[
        datetime,
        typer.Argument(parser=read_ahead, metavar="TIME", help="ISO 8601, or from now: 30m, 2h, 7d."),
    ],
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Give a running run more time or less; one without a deadline gets one.

    Example: pavane runs deadline orders:7 2d --reason "the supplier is late" --yes
    """
    session = session_of(context)

    async def work(connected: Connected) -> RunStatus:
        return await connected.client.run(run).move_deadline(to, reason=reason)

    session.confirm(f"Move the deadline of {clean(run)} to {to.isoformat()}?", yes=yes)
    _tell(session, session.with_client(work, by=by))


# runs in bulk


def _steer(session: Session, wish: Wish, meant: Meant, *, dry_run: bool, by: str | None, yes: bool) -> None:
    async def work(connected: Connected) -> BulkReport:
        runs = await meant.find(connected.client)
        return await steer_all(connected.means, wish, runs, dry_run=dry_run)

    session.confirm(f"{wish.verb.capitalize()} {clean(str(meant))}?", yes=yes or dry_run)
    _end(session, meant, session.with_client(work, by=by), PARTICIPLES[wish.verb])


def _end(session: Session, meant: Meant, report: BulkReport, participle: str) -> None:
    """Report; one run that was asked for by name and refused is an error, of many some are only an answer."""
    if session.out.json:
        session.out.document(report)
    elif not (meant.alone and report.skipped):
        would = "would be " if report.dry_run else ""
        session.out.show(f"{report.done} of {report.matched} {would}{participle}")
        for one in report.skipped:
            session.out.show(f"  {clean(one.id)}: {in_words(one.reason)}")
    if meant.alone and report.skipped:
        raise refused(meant.alone, participle, report.skipped[0].reason)
    if code := NO if report.skipped else DONE:
        raise typer.Exit(code)


# one run


def _declared(app: App, worker: str, name: str) -> type[Event]:
    """The class of an event that a worker of this app emits.

    Raises:
        UsageError: the app has no such worker.
        UndeclaredEvent: the worker does not emit it.
    """
    definition = next((one for one in app.workers if one.full_name == worker), None)
    if definition is None:
        raise UsageError(
            f"There is no worker {worker!a:.200} in this app.",
            remedy="A step is named <service.worker>:<event id>; `pavane runs show` lists them.",
        )
    for event in definition.produces:
        if event.event_name == name:
            return event
    known = ", ".join(event.event_name for event in definition.produces) or "nothing"
    raise UndeclaredEvent(f"{worker} does not emit {name!a:.200}.", remedy=f"It emits: {known}.")


def _tell(session: Session, status: RunStatus) -> None:
    if session.out.json:
        session.out.document(status)
    else:
        session.out.show(run_line(status))
