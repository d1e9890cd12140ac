"""Loading the user's code: `module:app`."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from pavane.app import App
from pavane.errors import DefinitionError, UsageError
from pavane.settings import Settings

DEFAULT_ATTRIBUTE = "app"


def load_app(given: str | None, settings: Settings) -> App:
    """The App that `given`, or else `PAVANE_APP`, names as `module:app`; modules of the present folder first.

    Raises:
        UsageError: no name, nothing of that name, or the module failed to load.
        DefinitionError: the module defines something wrongly.
    """
    name = given or settings.app
    if not name:
        raise UsageError("Which app?", remedy="Give module:app, or set PAVANE_APP.")
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    app = _import(module_name)
    for part in (attribute or DEFAULT_ATTRIBUTE).split("."):
        app = getattr(app, part, None)
    if not isinstance(app, App):
        raise UsageError(
            f"{name!a:.200} is no App.", remedy="It is module:name, the name of an App made in that module."
        )
    return app


def _import(name: str) -> object:
    try:
        return importlib.import_module(name)
    except DefinitionError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"There is no module {name!a:.200}.", remedy="Run it in the folder that has the module."
            ) from None
        raise UsageError(f"{name} cannot be imported: {error}.{_place(error)}") from error
    except Exception as error:
        text = f"{name} cannot be imported: {type(error).__name__}: {error}{_place(error)}"
        raise UsageError(text) from error


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    return f" ({outside[-1].filename}:{outside[-1].lineno})" if outside else ""
