"""The filter of dead letters, as options."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pavane.client.letter_filter import LetterFilter

OfWorker = Annotated[str | None, typer.Option("--worker", help="service.worker")]
OfRun = Annotated[str | None, typer.Option("--run", help="<workflow>:<run id>")]
OfWorkflow = Annotated[str | None, typer.Option("--workflow")]
EventName = Annotated[str | None, typer.Option("--event", help="An event's name.")]
ErrorText = Annotated[str | None, typer.Option("--error", help="Part of the error's text, or its type.")]
Fingerprint = Annotated[str | None, typer.Option("--fingerprint")]
Answered = Annotated[
    bool | None, typer.Option("--answered/--unanswered", help="Whether on_exhausted has dealt with it.")
]


def made_filter(
    worker: str | None,
    run: str | None,
    workflow: str | None,
    event: str | None,
    error: str | None,
    fingerprint: str | None,
    answered: bool | None,
    since: datetime | None,
    until: datetime | None,
) -> LetterFilter:
    """The filter that the options make."""
    return LetterFilter(
        worker=worker,
        run=run,
        workflow=workflow,
        event=event,
        error=error,
        fingerprint=fingerprint,
        answered=answered,
        since=since,
        until=until,
    )
