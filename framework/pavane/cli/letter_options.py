"""The filter of dead letters, as options."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from pavane.cli import completion
from pavane.cli.grouped import grouped
from pavane.cli.options import Since, Until
from pavane.client.letter_filter import LetterFilter

_OPTIONS: Final[dict[str, Any]] = {
    "worker": Annotated[
        str | None, typer.Option("--worker", help="service.worker", autocompletion=completion.workers)
    ],
    "run": Annotated[str | None, typer.Option("--run", help="<workflow>:<run id>")],
    "workflow": Annotated[
        str | None, typer.Option("--workflow", help="Its name.", autocompletion=completion.workflows)
    ],
    "event": Annotated[
        str | None, typer.Option("--event", help="An event's name.", autocompletion=completion.events)
    ],
    "error": Annotated[str | None, typer.Option("--error", help="Part of the error's text, or its type.")],
    "fingerprint": Annotated[
        str | None, typer.Option("--fingerprint", help="Of a group, as `dlq groups` tells.")
    ],
    "answered": Annotated[
        bool | None, typer.Option("--answered/--unanswered", help="Whether on_exhausted has dealt with it.")
    ],
    "since": Since,
    "until": Until,
}

filtered: Final = grouped("filter", _OPTIONS, LetterFilter)
"""For a command whose argument `filter` is made of the options above."""
