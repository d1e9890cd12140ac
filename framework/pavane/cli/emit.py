"""`pavane emit`: bring an event in from outside, by hand.

It is no change in the sense of the commands that steer: the event is what somebody says has happened, and it is
kept with its payload. So nothing asks, and there is no reason to give beside it; who said so is kept where there
is a place for it, in the history of the run.
"""

from __future__ import annotations

from typing import Annotated

import typer

from pavane.app import App
from pavane.cli import completion
from pavane.cli.loading import load_app
from pavane.cli.options import AppOption, By, read_payload
from pavane.cli.programs import events_of
from pavane.cli.session import Connected, session_of
from pavane.errors import UsageError
from pavane.model.event import Event
from pavane.model.wire import decode


def emit(
    context: typer.Context,
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT", help="Its name, as the app knows it.", autocompletion=completion.events
        ),
    ],
    app: AppOption = None,
    payload: Annotated[str, typer.Option("--payload", metavar="JSON|@FILE|-", help="Of the event.")] = "{}",
    run: Annotated[
        str | None, typer.Option("--run", help="<workflow>:<run id>; without it outside any run.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key", help="The same key gives the same event, taken once by each worker."
        ),
    ] = None,
    by: By = None,
) -> None:
    """Bring an event in from outside: into a run, or to everybody who subscribes to it.

    Without --run an event that starts a workflow starts a run of it. The payload is validated by the event's class
    before anything is sent.

    Example: pavane emit payments.received --run orders:7 --payload '{"order": "7", "amount": 12}'
    --idempotency-key transfer-4711 --by operator-1
    """
    _check(run, idempotency_key, by)
    session = session_of(context)
    declared = _declared(load_app(app, session.settings()), event)
    brought = decode(declared, read_payload(payload), declared.event_version)

    async def work(connected: Connected) -> tuple[str, bool]:
        subscriptions = connected.means.subscriptions
        await subscriptions.refresh()
        event_id = await connected.client.emit(brought, run=run, idempotency_key=idempotency_key)
        return event_id, subscriptions.anybody(declared.event_name)

    event_id, anybody = session.with_client(work, by=by)
    if session.out.json:
        session.out.document({"event_id": event_id})
        return
    session.out.show(event_id)
    if run is None and not anybody:
        session.out.note(f"No worker is registered for {declared.event_name}, so nobody took it.")


def _check(run: str | None, idempotency_key: str | None, by: str | None) -> None:
    if idempotency_key == "":
        raise UsageError(
            "The idempotency key is empty, so every such event would be the same one.",
            remedy="Give what names this one event, such as the number of a transfer; or leave it out.",
        )
    if by is not None and run is None:
        raise UsageError("Outside a run nobody keeps who emitted an event.", remedy="Leave out --by.")


def _declared(app: App, name: str) -> type[Event]:
    """The class of an event that this app speaks of.

    Raises:
        UsageError: it speaks of no such event.
    """
    known = {event.event_name: event for event in events_of(app)}
    if name not in known:
        raise UsageError(
            f"There is no event {name!a:.200} in this app.",
            remedy=f"There are: {', '.join(sorted(known))}. One from outside is named in App(events=[…]).",
        )
    return known[name]
