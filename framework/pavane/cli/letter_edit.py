"""`pavane dlq edit`: another payload for the job of a dead letter.

The letter is read first, and changed by a connection of its own: a person in an editor takes longer than a broker
waits for a heartbeat. If the letter has moved on by then, the store says so and nothing is changed.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pavane.cli.loading import load_app
from pavane.cli.options import AppOption, By, Reason, Yes, read_payload
from pavane.cli.output import clean, moment, to_json
from pavane.cli.session import Connected, Session, session_of
from pavane.client import editing, views
from pavane.client.merge_patch import merged
from pavane.core.record import EventRow
from pavane.errors import Undecodable, UnknownEvent, UsageError
from pavane.model.wire import decode, parse
from pavane.ports.store import FoundLetter


def edit(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID")],
    app: AppOption = None,
    patch: Annotated[
        str | None,
        typer.Option(
            "--patch", metavar="JSON|@FILE|-", help="JSON merge patch; without it $EDITOR is opened."
        ),
    ] = None,
    new_key: Annotated[
        bool,
        typer.Option(
            "--new-key", help="Another idempotency key: effects of old attempts are not recognised."
        ),
    ] = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Give the job of a dead letter another payload; it begins anew as another event, and the letter is closed.

    With an app the payload is validated against the class that its worker takes.

    Example: pavane dlq edit af899e926e61bfc9 --patch '{"card":"4242"}' --app shop:app --reason "mistyped" --yes
    """
    session = session_of(context)

    async def look(connected: Connected) -> FoundLetter:
        return await editing.find(connected.means, id)

    found = session.with_client(look)
    event = editing.event_of(found)
    before = views.json_value(event.payload)
    payload = _object(merged(before, _read_patch(patch)) if patch is not None else _from_editor(before))
    if payload == before and not new_key:
        raise UsageError(
            "The payload is the same.", remedy=f"`pavane dlq redrive {clean(id)}` sends it again as it is."
        )
    _validate(session, app, found.letter.worker, event, payload)
    _tell_before(session, found, payload, new_key=new_key)
    session.confirm(f"Send the edited {clean(event.name)} to {clean(found.letter.worker)}?", yes=yes)

    async def work(connected: Connected) -> str:
        return await editing.edit(connected.means, found, payload, new_key=new_key, reason=reason)

    _tell_after(session, found, session.with_client(work, by=by))


# the payload


def _read_patch(given: str) -> Any:
    try:
        return parse(read_payload(given))
    except Undecodable as error:
        raise UsageError(f"The patch cannot be read: {error}") from None


def _from_editor(payload: Any) -> Any:
    """What a person makes of the payload in `$VISUAL` or `$EDITOR`.

    Raises:
        UsageError: there is no editor, it failed, or what it left is no JSON.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("vi" if sys.stdin.isatty() else "")
    if not editor:
        raise UsageError("There is no editor to open.", remedy="Set EDITOR, or give --patch.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "payload.json"
        file.touch(mode=0o600)
        # Escaped like all output: an editor hands to the terminal what it does not know.
        file.write_text(json.dumps(payload, indent=2) + "\n")
        try:
            code = subprocess.run([*shlex.split(editor), str(file)], check=False).returncode
        except (OSError, ValueError) as error:
            raise UsageError(f"{editor!a:.200} cannot be started: {error}", remedy="Set EDITOR.") from None
        if code:
            raise UsageError(f"{editor!a:.200} ended with {code}: nothing was changed.")
        try:
            return parse(file.read_bytes())
        except Undecodable as error:
            raise UsageError(f"What was written cannot be read: {error}") from None


def _object(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise UsageError("An event's payload is a JSON object.")
    return cast(dict[str, Any], payload)


def _validate(
    session: Session, app: str | None, worker: str, event: EventRow, payload: dict[str, Any]
) -> None:
    """Against the class that the worker takes; without an app that has it only JSON's rules hold, and that is said.

    Raises:
        UsageError: the app that was asked for has no such worker.
        MessageError: the class does not take the payload.
    """
    settings = session.settings()
    loaded = load_app(app, settings) if app or settings.app else None
    definition = next((one for one in loaded.workers if one.full_name == worker), None) if loaded else None
    if definition is None:
        if app:
            raise UsageError(f"There is no worker {worker!a:.200} in {app!a:.200}.")
        if not session.out.json:
            session.out.note(
                f"Not validated: give --app with the code of {worker}. It is JSON, no more is known."
            )
        return
    taken = definition.event_class(event.name)
    if taken is None:
        raise UnknownEvent(f"{worker} takes no {event.name} in this version.")
    decode(taken, to_json(payload).encode(), event.version)


# what is said


def _tell_before(session: Session, found: FoundLetter, payload: dict[str, Any], *, new_key: bool) -> None:
    """What it becomes, and which attempts the outside may know of."""
    if session.out.json:
        return
    session.out.show(f"payload  {to_json(payload)}")
    began = editing.attempts_of(found)
    if not began:
        session.out.show("No attempt has begun: nothing can have happened outside.")
        return
    session.out.show("These attempts may already have had an effect outside:")
    for one in began:
        end = f"{one.outcome or 'never ended'}  {clean(one.error_type or '')}: {clean(one.error or '')}"
        session.out.show(f"  attempt {one.attempt}  {moment(one.started_at)}  {clean(one.host or '')}  {end}")
    if new_key:
        session.out.show("With a new idempotency key the outside takes what comes for something else.")
    else:
        session.out.show("The idempotency key stays, so an outside that knows it does nothing twice.")


def _tell_after(session: Session, found: FoundLetter, event_id: str) -> None:
    if session.out.json:
        session.out.document({"event_id": event_id})
        return
    session.out.show(
        f"event {event_id} goes to {clean(found.letter.worker)}; the letter is closed, and its message leaves the "
        "queue with the next redrive or discard there"
    )
