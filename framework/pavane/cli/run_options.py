"""The filter of runs, as options, and which runs a command is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from pavane.cli import completion
from pavane.cli.grouped import grouped
from pavane.cli.options import Since, Until
from pavane.client import Client
from pavane.errors import UsageError

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="<workflow>:<run id>")]
OfStatus = Annotated[
    list[str] | None,
    typer.Option("--status", help="One or several, with commas.", autocompletion=completion.statuses),
]
OfWorkflow = Annotated[
    str | None, typer.Option("--workflow", help="Its name.", autocompletion=completion.workflows)
]
WaitingFor = Annotated[
    str | None,
    typer.Option(
        "--waiting-for",
        help="timer, retry, join, held, dead_letter, undo_stuck, ...",
        autocompletion=completion.waiting_kinds,
    ),
]

_OPTIONS: Final[dict[str, Any]] = {
    "runs": Annotated[list[str] | None, typer.Argument(metavar="RUN", help="<workflow>:<run id>")],
    "status": OfStatus,
    "workflow": OfWorkflow,
    "waiting_for": WaitingFor,
    "since": Since,
    "until": Until,
}

LIVE: Final = ("running", "waiting", "paused", "stalled", "compensating")
"""Where no status is given, a filter means runs that have not ended: nothing can be done to the others."""


def split_statuses(given: Sequence[str] | None) -> tuple[str, ...]:
    """Statuses, given one by one or with commas."""
    return tuple(one for words in given or () for one in words.split(",") if one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """The runs that a command is about: named, or found by a filter.

    Raises:
        UsageError: neither runs nor a filter, or both.
    """

    runs: tuple[str, ...]
    statuses: tuple[str, ...]
    workflow: str | None
    waiting_for: str | None
    since: datetime | None
    until: datetime | None

    def __post_init__(self) -> None:
        filtered = any((self.statuses, self.workflow, self.waiting_for, self.since, self.until))
        if filtered == bool(self.runs):
            raise UsageError(
                "Which runs? Name them, or give a filter."
                if not filtered
                else "Runs by name or by a filter: not both.",
                remedy="`pavane runs ls` lists them, with the same filter; --dry-run changes nothing.",
            )

    @property
    def alone(self) -> str | None:
        """The one run that was named; `None` if it is a matter of many."""
        return self.runs[0] if len(self.runs) == 1 else None

    def __str__(self) -> str:
        return ", ".join(self.runs[:5]) + (", ..." if len(self.runs) > 5 else "") or "every run that matches"

    async def find(self, client: Client) -> list[str]:
        """Their full names, oldest first where a filter finds them. The set is fixed from then on.

        Raises:
            UsageError: a name that is no run's, or a status that does not exist.
        """
        if self.runs:
            return list(dict.fromkeys(client.run(name).run for name in self.runs))
        listing = client.runs(
            status=self.statuses or LIVE,
            workflow=self.workflow,
            waiting_for=self.waiting_for,
            since=self.since,
            until=self.until,
            order_by="started_at",
        )
        return [run.run for run in await listing.all()]


def _made(runs: Sequence[str] | None, status: Sequence[str] | None, **filter: Any) -> Meant:
    return Meant(runs=tuple(runs or ()), statuses=split_statuses(status), **filter)


meaning: Final = grouped("meant", _OPTIONS, _made)
"""For a command whose argument `meant` is made of run names, or of the options of `runs ls`."""
