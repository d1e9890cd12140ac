"""`pavane doctor`: is everything as it must be for nothing to be lost, and does the work get on?"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import typer
from rich.text import Text

from pavane.app import App
from pavane.cli.broker_checks import judge_consumer_timeout
from pavane.cli.exits import NO, UNREACHABLE, remedy_of
from pavane.cli.findings import NAMES, Finding, error, not_seen, ok
from pavane.cli.loading import load_app
from pavane.cli.management_checks import NotAsked, Overseen, management_checks, oversee
from pavane.cli.options import AppOption
from pavane.cli.output import Output, clean, styled, table
from pavane.cli.programs import program_of
from pavane.cli.server_checks import broker_version, state_checks, state_not_seen
from pavane.cli.session import session_of
from pavane.cli.work_checks import (
    clock_skew_check,
    consumers_check,
    epoch_check,
    outbox_check,
    parked_check,
    registered_workers,
    stalled_check,
    topology_check,
)
from pavane.client import Client
from pavane.client.connection import connect
from pavane.core.choreography_findings import findings_of
from pavane.core.topology import Names, Topology
from pavane.errors import BrokerUnavailable, PavaneError, StateLost, StateUnavailable
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from pavane.runtime.clock import SystemClock
from pavane.settings import Settings, mask_url


def doctor(context: typer.Context, app: AppOption = None) -> None:
    """Check servers, queues and runs. Exit code 1 on an error, 4 if a server is unreachable.

    With an app it also compares the topology with the definitions, and how long handlers take with RabbitMQ's limit.

    Example: pavane doctor --app shop:app
    """
    session = session_of(context)
    settings = session.settings()
    loaded = load_app(app, settings) if app or settings.app else None
    findings, unreachable = asyncio.run(_Examination(settings, loaded, session.patience).make())
    findings.sort(key=lambda finding: NAMES.index(finding.name))
    _print(session.out, findings)
    if unreachable:
        raise typer.Exit(UNREACHABLE)
    if any(finding.status == "error" for finding in findings):
        raise typer.Exit(NO)


@dataclass(frozen=True, slots=True)
class _Door:
    """Whether a server lets us in: not if it is away, and not if pavane refuses to work with it."""

    finding: Finding
    away: bool = False

    @property
    def open(self) -> bool:
        return self.finding.status == "ok"


class _Examination:
    """All checks of one doctor.

    Args:
        app: what was given to compare with.
        patience: seconds for a server's first answer.
    """

    def __init__(self, settings: Settings, app: App | None, patience: float) -> None:
        self._patience = patience
        self._settings = settings
        self._app = app
        self._wanted: Topology | None = app.catalog(settings).topology() if app else None
        self._names = Names(settings.namespace)

    async def make(self) -> tuple[list[Finding], bool]:
        """All findings, and whether a server does not answer."""
        settings = self._settings
        store, broker = connect(settings, first_contact=self._patience)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(broker.close)
            stack.push_async_callback(store.close)
            # At the same time: each of them may be silent until its time is over.
            at_broker, at_state, overseen = await asyncio.gather(
                _knock("broker_connection", settings.broker_url, broker.open),
                _knock("state_connection", settings.state_url, store.open),
                oversee(settings, self._patience),
            )
            findings = [at_broker.finding, at_state.finding, self._consumer_timeout()]
            findings.append(
                not_seen("broker_version", "the broker is unreachable", "See broker_connection.")
                if at_broker.away
                else await broker_version(settings)
            )
            findings += state_not_seen("it is unreachable") if at_state.away else await state_checks(settings)
            findings += await self._work(store, broker, at_broker, at_state)
            findings += await self._of_management(overseen, store, at_state)
        return findings, at_broker.away or at_state.away

    async def _work(self, store: Store, broker: Broker, at_broker: _Door, at_state: _Door) -> list[Finding]:
        """The checks that need both servers, the broker, or the store; one that cannot be made says so."""
        names, both = self._names, at_broker.open and at_state.open
        client = Client.over(store, broker, settings=self._settings, clock=SystemClock())
        checks: list[tuple[str, bool, Callable[[], Awaitable[Finding]]]] = [
            ("topology", both, lambda: topology_check(broker, store, names, self._wanted)),
            ("consumers", both, lambda: consumers_check(broker, store, names)),
            ("epoch", both, lambda: epoch_check(store, broker, names)),
            ("parked", at_broker.open, lambda: parked_check(broker, names)),
            ("clock_skew", at_state.open, lambda: clock_skew_check(store)),
            ("outbox", at_state.open, lambda: outbox_check(store)),
            ("stalled_runs", at_state.open, lambda: stalled_check(client, store)),
        ]
        return [await _one(name, possible, check) for name, possible, check in checks]

    async def _of_management(
        self, overseen: Overseen | NotAsked, store: Store, at_state: _Door
    ) -> list[Finding]:
        workers: Sequence[str] = ()
        if at_state.open:
            try:
                workers = await registered_workers(store)
            except PavaneError as refusal:
                overseen = NotAsked(str(refusal), remedy_of(refusal))
        return await management_checks(overseen, self._settings, workers)

    def _consumer_timeout(self) -> Finding:
        if self._app is None:
            return judge_consumer_timeout([], known=False)
        found = findings_of([program_of(self._app, self._settings.app or "the app")])
        too_long = [one for one in found if one.code == "lease_exceeds_consumer_timeout" and not one.allowed]
        return judge_consumer_timeout([(one.subject, one.message) for one in too_long], known=True)


async def _knock(name: str, url: str | None, open_it: Callable[[], Awaitable[None]]) -> _Door:
    try:
        await open_it()
    except PavaneError as refusal:
        finding = error(name, str(refusal), remedy_of(refusal))
        return _Door(finding, away=isinstance(refusal, (BrokerUnavailable, StateUnavailable)))
    return _Door(ok(name, mask_url(url or "")))


async def _one(name: str, possible: bool, check: Callable[[], Awaitable[Finding]]) -> Finding:
    if not possible:
        return not_seen(name, "a server cannot be used", "See broker_connection and state_connection.")
    try:
        return await check()
    except StateLost:
        return not_seen(name, "there is no state", "See epoch.")
    except PavaneError as refusal:
        return error(name, str(refusal), remedy_of(refusal))


def _print(out: Output, findings: list[Finding]) -> None:
    counted = Counter(finding.status for finding in findings)
    if out.json:
        out.document({"ok": not counted["error"], "checks": [asdict(finding) for finding in findings]})
        return
    out.show(table(("STATUS", "CHECK", "WHAT WAS FOUND"), map(_row, findings)))
    told = [
        f"{counted[status]} {status}{'s' if counted[status] > 1 else ''}" for status in ("error", "warning")
    ]
    out.show(", ".join(part for part in told if part[0] != "0") or "All is well.")


def _row(finding: Finding) -> tuple[Text, str, Text]:
    found = Text(clean(finding.summary))
    if finding.remedy:
        found.append(f"\n→ {clean(finding.remedy)}", style="cyan")
    return styled(finding.status), finding.name, found
