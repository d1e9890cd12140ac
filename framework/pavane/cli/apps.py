"""The apps that a command was given: `module:app`, or all that the files of a folder define."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pavane.cli.programs import INTRODUCTION, Introduction
from pavane.core.choreography import Program
from pavane.errors import DefinitionError, UsageError
from pavane.settings import Settings

_NEVER = "__main__.py"
"""A module that does something when it is imported, by its very name."""


@dataclass(frozen=True, slots=True)
class AppName:
    """An app to load.

    Attributes:
        name: `module:app`.
        root: the folder that its module is imported from.
        shown: what it is called in what is found.
    """

    name: str
    root: Path
    shown: str


def programs_of(given: Sequence[str], settings: Settings) -> tuple[Program, ...]:
    """What each of these apps says of itself; each is loaded in a process of its own.

    Args:
        given: `module:app` or folders; empty: `PAVANE_APP`.

    Raises:
        UsageError: nothing is given, a folder has no app, or an app cannot be loaded.
        DefinitionError: with the problems of all apps.
    """
    names = tuple(dict.fromkeys(name for one in given or [settings.app or ""] for name in _named_by(one)))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        answers = tuple(pool.map(_ask, names))
    problems = tuple(dict.fromkeys(problem for answer in answers for problem in answer.problems))
    if problems:
        raise DefinitionError(*problems)
    for answer in answers:
        if answer.program is None:
            raise UsageError(answer.refusal, remedy=answer.remedy)
    return tuple(answer.program for answer in answers if answer.program is not None)


def _named_by(given: str) -> Iterable[AppName]:
    if not given:
        raise UsageError("Which apps?", remedy="Give module:app or a folder, or set PAVANE_APP.")
    if not Path(given).is_dir():
        return [AppName(given, Path.cwd(), given)]
    found = list(apps_in(Path(given)))
    if not found:
        raise UsageError(
            f"No file in {given!a:.200} defines an App.",
            remedy="It has to stand at the top of a module: app = App(services=[…]).",
        )
    return found


def apps_in(folder: Path) -> Iterator[AppName]:
    """Every `name = App(…)` at the top level of a file of the folder, or below it; nothing is imported."""
    for file in _modules(folder):
        for attribute in _apps_of(file):
            root, module = _importable(file.resolve())
            here = root == Path.cwd().resolve()
            yield AppName(f"{module}:{attribute}", root, f"{module if here else file}:{attribute}")


def _modules(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        # What is hidden, or a Python environment, is not the user's code.
        if path.is_dir() and not path.name.startswith((".", "__")) and not (path / "pyvenv.cfg").exists():
            yield from _modules(path)
        elif path.suffix == ".py" and path.name != _NEVER:
            yield path


def _apps_of(file: Path) -> Iterator[str]:
    try:
        text = file.read_text(encoding="utf-8")
        statements = ast.parse(text).body if "App(" in text else []
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{str(file)!a:.200} cannot be read: {error}.") from error
    for statement in statements:
        if isinstance(statement, ast.Assign) and _makes_app(statement.value):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and _makes_app(statement.value):
            yield from ([statement.target.id] if isinstance(statement.target, ast.Name) else [])


def _makes_app(value: ast.expr | None) -> bool:
    called = value.func if isinstance(value, ast.Call) else None
    return (isinstance(called, ast.Name) and called.id == "App") or (
        isinstance(called, ast.Attribute) and called.attr == "App"
    )


def _importable(file: Path) -> tuple[Path, str]:
    """The folder that the file's module is imported from, and the module's name."""
    words = [] if file.name == "__init__.py" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists():
        words.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(words)


def _ask(app: AppName) -> Introduction:
    command = [sys.executable, "-m", "pavane.cli.introduce", str(app.root), app.name, app.shown]
    done = subprocess.run(command, capture_output=True, check=False)
    try:
        return INTRODUCTION.validate_json(done.stdout)
    except ValidationError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        last = f" Its last words: {said[-1]!a:.200}" if said else ""
        refusal = f"{app.shown} ended while it was loaded, with code {done.returncode}.{last}"
        return Introduction(refusal=refusal, remedy="A module that defines an app may not end its process.")
