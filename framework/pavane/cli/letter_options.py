"""The filter of dead letters, as options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

import typer

from pavane.cli.options import Since, Until
from pavane.client.letter_filter import LetterFilter

_OPTIONS: Final[dict[str, Any]] = {
    "worker": Annotated[str | None, typer.Option("--worker", help="service.worker")],
    "run": Annotated[str | None, typer.Option("--run", help="<workflow>:<run id>")],
    "workflow": Annotated[str | None, typer.Option("--workflow")],
    "event": Annotated[str | None, typer.Option("--event", help="An event's name.")],
    "error": Annotated[str | None, typer.Option("--error", help="Part of the error's text, or its type.")],
    "fingerprint": Annotated[str | None, typer.Option("--fingerprint")],
    "answered": Annotated[
        bool | None, typer.Option("--answered/--unanswered", help="Whether on_exhausted has dealt with it.")
    ],
    "since": Since,
    "until": Until,
}


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose argument `filter` is made of the options above.

    typer makes options of a signature, so the command is given one that has them in the argument's place.
    """

    @wraps(command)
    def run(**given: Any) -> None:
        filter: dict[str, Any] = {name: given.pop(name) for name in _OPTIONS}
        command(filter=LetterFilter(**filter), **given)  # type: ignore[typeddict-item]

    parameters: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        options = _OPTIONS if name == "filter" else {name: parameter.annotation}
        for option, annotation in options.items():
            parameters[option] = parameter.replace(
                name=option, annotation=annotation, kind=parameter.KEYWORD_ONLY
            )
            if name == "filter":
                parameters[option] = parameters[option].replace(default=None)
    run.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: one.annotation for name, one in parameters.items()}
    return run
