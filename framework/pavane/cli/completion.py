"""What a shell completes beside commands and options: names that the app of `PAVANE_APP` has. No server is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import get_args

from pavane.app import App
from pavane.cli.loading import load_app
from pavane.cli.programs import events_of
from pavane.errors import PavaneError
from pavane.model.views import Status, WaitingKind
from pavane.settings import Settings

Complete = Callable[[str], list[str]]
"""From what has been typed so far to what it may become."""


def _of_app(names: Callable[[App], Iterable[str]]) -> Complete:
    def complete(incomplete: str) -> list[str]:
        name = os.environ.get("PAVANE_APP")
        if not name:
            return []
        # Whatever the app says while it is loaded would be taken for names.
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            try:
                app = load_app(name, Settings.model_construct())
            except PavaneError:
                return []  # the command itself says what is wrong with the app
        return [one for one in dict.fromkeys(names(app)) if one.startswith(incomplete)]

    return complete


def _listed(words: Iterable[str]) -> Complete:
    """One of these words, or the next of several with commas between."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{word}" for word in words if word.startswith(last)]

    return complete


def _services_and_workers(app: App) -> Iterable[str]:
    return [*(service.name for service in app.services), *_workers(app)]


def _workers(app: App) -> Iterable[str]:
    return (worker.full_name for worker in app.workers)


def _workflows(app: App) -> Iterable[str]:
    return (workflow.name for workflow in app.workflows)


def _events(app: App) -> Iterable[str]:
    return (event.event_name for event in events_of(app))


workers = _of_app(_workers)
services_and_workers = _of_app(_services_and_workers)
workflows = _of_app(_workflows)
events = _of_app(_events)
statuses = _listed(get_args(Status))
waiting_kinds = _listed(get_args(WaitingKind))
