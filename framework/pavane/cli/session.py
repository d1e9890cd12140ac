"""What a command works with: its settings, its output, and a client for as long as it runs."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import typer

from pavane.cli.exits import NO
from pavane.cli.output import Output
from pavane.client import Client
from pavane.client.connection import close_pair, connect, open_pair
from pavane.client.means import Means
from pavane.errors import UsageError
from pavane.runtime.clock import SystemClock
from pavane.settings import Settings

T = TypeVar("T")

FIRST_ANSWER: Final = 3.3
"""Seconds from the start of a command until a server must have answered: somebody on call waits for it."""

AT_LEAST: Final = 2.0
"""The same for a command that was busy before, loading apps: seconds from when it asks."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A client, and what it works with, for commands that read records themselves."""

    client: Client
    means: Means


class Session:
    """The global options, and what follows from them.

    Args:
        json: answers for programs.
        env_file: read where the environment is silent.
        namespace: instead of `PAVANE_NAMESPACE`.
    """

    def __init__(
        self, *, json: bool = False, env_file: Path | None = None, namespace: str | None = None
    ) -> None:
        self.out = Output(json=json)
        self._began = time.monotonic()
        self._env_file = env_file
        self._namespace = namespace

    def as_arguments(self) -> list[str]:
        """The global options, for a child process."""
        given = [("--env-file", self._env_file), ("--namespace", self._namespace)]
        options = [f"{name}={value}" for name, value in given if value is not None]
        return ["--json", *options] if self.out.json else options

    @property
    def patience(self) -> float:
        """Seconds that are left for a server's first answer."""
        return max(FIRST_ANSWER - (time.monotonic() - self._began), AT_LEAST)

    def settings(self, *, by: str | None = None) -> Settings:
        """The settings, read now; `by` is who acts.

        Raises:
            SettingsError: a value cannot be used.
        """
        settings = Settings.read(self._env_file)
        given = {"namespace": self._namespace, "actor": by}
        changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        # Once more through validation: what is given on the command line is checked as the rest is.
        return Settings(**(settings.model_dump() | changed)) if changed else settings

    def with_client(self, work: Callable[[Connected], Awaitable[T]], *, by: str | None = None) -> T:
        """Connect, do the work, disconnect.

        Raises:
            SettingsError: a URL is missing.
            BrokerUnavailable, StateUnavailable: a server does not answer.
        """

        async def run() -> T:
            async with self.connected(by=by) as connected:
                return await work(connected)

        return asyncio.run(run())

    @asynccontextmanager
    async def connected(self, *, by: str | None = None) -> AsyncGenerator[Connected]:
        """A client on the servers of the settings."""
        settings, clock = self.settings(by=by), SystemClock()
        store, broker = connect(settings, first_contact=self.patience)
        await open_pair(store, broker)
        try:
            async with Client.over(store, broker, settings=settings, clock=clock) as client:
                yield Connected(client, Means(store, broker, settings, clock))
        finally:
            await close_pair(store, broker)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Let a person confirm a change; without a terminal `--yes` has to.

        Raises:
            UsageError: neither a terminal nor `--yes`.
            typer.Exit: the person said no.
        """
        if yes:
            return
        if self.out.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                "This changes something, and there is nobody to ask.", remedy="Add --yes if it is meant."
            )
        if not typer.confirm(question, err=True):
            raise typer.Exit(NO)


def session_of(context: typer.Context) -> Session:
    """The session that the program made of the global options."""
    session = context.obj
    if not isinstance(session, Session):
        raise TypeError("the program did not make a session")
    return session
