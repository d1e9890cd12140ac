"""Options that several commands share, written once: a command takes them together, as one argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeAlias

Command: TypeAlias = Callable[..., None]


def grouped(
    argument: str, options: Mapping[str, Any], make: Callable[..., object]
) -> Callable[[Command], Command]:
    """For commands whose argument `argument` is what `make` makes of the values of `options`.

    typer makes options of a signature, so the command is given one that has them in the argument's place.

    Args:
        options: by name, annotated as typer wants them; the default of each is `None`.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**given: Any) -> None:
            taken = {name: given.pop(name) for name in options}
            command(**{argument: make(**taken)}, **given)

        parameters: dict[str, inspect.Parameter] = {}
        for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
            if name != argument:
                parameters[name] = parameter.replace(kind=parameter.KEYWORD_ONLY)
                continue
            for option, annotation in options.items():
                parameters[option] = inspect.Parameter(
                    option, parameter.KEYWORD_ONLY, default=None, annotation=annotation
                )
        run.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
        run.__annotations__ = {name: one.annotation for name, one in parameters.items()}
        return run

    return decorate
