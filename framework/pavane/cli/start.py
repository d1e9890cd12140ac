"""`pavane start`: start a run from the command line."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pavane.app import App
from pavane.cli import completion
from pavane.cli.exits import NO
from pavane.cli.loading import load_app
from pavane.cli.options import AppOption, By, TimeoutOption, Yes, read_payload
from pavane.cli.output import Output, clean, styled
from pavane.cli.run_view import run_line
from pavane.cli.session import Connected, session_of
from pavane.client import RunHandle
from pavane.errors import UsageError
from pavane.model.event import Event
from pavane.model.later import in_calls
from pavane.model.wire import decode
from pavane.model.workflow import Workflow


def start(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", autocompletion=completion.workflows)],
    app: AppOption = None,
    payload: Annotated[
        str, typer.Option("--payload", metavar="JSON|@FILE|-", help="Of the starting event.")
    ] = "{}",
    attribute: Annotated[list[str] | None, typer.Option("--attribute", hidden=True)] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; 1 unless completed.")] = False,
    timeout: TimeoutOption = None,
    by: By = None,
    yes: Yes = False,
) -> None:
    """Start a run of WORKFLOW, or attach to the one that has its id.

    Example: pavane start orders --app shop:app --payload '{"id": "7", "amount": 20}' --wait --timeout 60
    """
    if attribute:
        raise in_calls("--attribute")
    session = session_of(context)
    wanted = _workflow(load_app(app, session.settings()), workflow)
    event = decode(wanted.starts_with, read_payload(payload), wanted.starts_with.event_version)

    async def work(connected: Connected) -> int:
        handle = await connected.client.start(wanted, event)
        if wait:
            return await _wait(session.out, handle, timeout)
        await _tell(session.out, handle)
        return 0

    if code := session.with_client(work, by=by):
        raise typer.Exit(code)


def _workflow(app: App, name: str) -> Workflow[Any, Any]:
    for workflow in app.workflows:
        if workflow.name == name:
            return workflow
    known = ", ".join(workflow.name for workflow in app.workflows) or "none"
    raise UsageError(f"There is no workflow {name!a:.80} in this app.", remedy=f"There are: {known}.")


async def _tell(out: Output, handle: RunHandle[Event]) -> None:
    status = (await handle.status()).status
    if out.json:
        out.document(
            {
                "run": handle.run,
                "workflow": handle.workflow,
                "run_id": handle.run_id,
                "created": handle.created,
                "status": status,
            }
        )
        return
    began = "started" if handle.created else "was there already"
    out.show(styled(status).append(f" {clean(handle.run)} ({began})", style="default"))


async def _wait(out: Output, handle: RunHandle[Event], timeout: float | None) -> int:
    status = await handle.wait(timeout)
    if out.json:
        out.document(status)
    else:
        out.show(run_line(status))
    return 0 if status.status == "completed" else NO
