"""`pavane doctor`: is everything as it must be for nothing to be lost, and does the work get on?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Final

import typer

from pavane.cli.exits import NO, UNREACHABLE, remedy_of
from pavane.cli.findings import NAMES, Finding, error, not_seen, ok
from pavane.cli.loading import load_app
from pavane.cli.options import AppOption
from pavane.cli.output import Output, styled, table
from pavane.cli.server_checks import broker_version, state_checks
from pavane.cli.session import session_of
from pavane.cli.work_checks import (
    clock_skew_check,
    consumers_check,
    epoch_check,
    outbox_check,
    parked_check,
    stalled_check,
    topology_check,
)
from pavane.client import Client
from pavane.client.connection import connect
from pavane.core.topology import Names, Topology
from pavane.errors import PavaneError, StateLost
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from pavane.runtime.clock import SystemClock
from pavane.settings import Settings, mask_url

OF_MANAGEMENT: Final = {
    "broker_permissions": "`rabbitmqctl list_permissions` shows what pavane's user may do.",
    "dead_lettering": "`rabbitmqctl list_queues name messages messages_ready messages_unacknowledged`: "
    "what is neither ready nor unacknowledged cannot be dead-lettered.",
    "policies": "`rabbitmqctl list_policies` shows what is imposed on pavane's queues.",
    "consumer_timeout": "`rabbitmqctl environment` shows consumer_timeout; "
    "it has to be longer than any handler may take.",
}
"""Checks that only RabbitMQ's management API can answer, and who else does."""


def doctor(context: typer.Context, app: AppOption = None) -> None:
    """Check servers, queues and runs. Exit code 1 on an error, 4 if a server is unreachable."""
    session = session_of(context)
    settings = session.settings()
    wanted = None
    if app or settings.app:
        wanted = load_app(app, settings).catalog(settings).topology()
    findings, unreachable = asyncio.run(_examine(settings, wanted))
    findings.sort(key=lambda finding: NAMES.index(finding.name))
    _print(session.out, findings)
    if unreachable:
        raise typer.Exit(UNREACHABLE)
    if any(finding.status == "error" for finding in findings):
        raise typer.Exit(NO)


async def _examine(settings: Settings, wanted: Topology | None) -> tuple[list[Finding], bool]:
    """All findings, and whether a server does not answer."""
    store, broker = connect(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.close)
        stack.push_async_callback(store.close)
        # At the same time: each of them may be silent until its time is over.
        broker_found, state_found = await asyncio.gather(
            _open("broker_connection", settings.broker_url, broker.open),
            _open("state_connection", settings.state_url, store.open),
        )
        findings = [broker_found, state_found, *_of_management(settings)]
        findings.append(
            await broker_version(settings)
            if broker_found.status == "ok"
            else not_seen("broker_version", "the broker is unreachable", "See broker_connection.")
        )
        findings += await state_checks(settings)
        findings += await _work(
            settings, store, broker, wanted, broker_found.status == "ok", state_found.status == "ok"
        )
    return findings, "error" in (broker_found.status, state_found.status)


async def _open(name: str, url: str | None, open_it: Callable[[], Awaitable[None]]) -> Finding:
    try:
        await open_it()
    except PavaneError as refusal:
        return error(name, str(refusal), remedy_of(refusal))
    return ok(name, mask_url(url or ""))


def _of_management(settings: Settings) -> list[Finding]:
    why = (
        "this version does not ask the management API"
        if settings.management_url
        else "set PAVANE_MANAGEMENT_URL"
    )
    return [not_seen(name, why, remedy) for name, remedy in OF_MANAGEMENT.items()]


async def _work(
    settings: Settings, store: Store, broker: Broker, wanted: Topology | None, broker_up: bool, state_up: bool
) -> list[Finding]:
    """The checks that need both servers, the broker, or the store; one that cannot be made says so."""
    names = Names(settings.namespace)
    client = Client.over(store, broker, settings=settings, clock=SystemClock())
    checks: list[tuple[str, bool, Callable[[], Awaitable[Finding]]]] = [
        ("topology", broker_up and state_up, lambda: topology_check(broker, store, names, wanted)),
        ("consumers", broker_up and state_up, lambda: consumers_check(broker, store, names)),
        ("epoch", broker_up and state_up, lambda: epoch_check(store, broker, names)),
        ("parked", broker_up, lambda: parked_check(broker, names)),
        ("clock_skew", state_up, lambda: clock_skew_check(store)),
        ("outbox", state_up, lambda: outbox_check(store)),
        ("stalled_runs", state_up, lambda: stalled_check(client, store)),
    ]
    return [await _one(name, possible, check) for name, possible, check in checks]


async def _one(name: str, possible: bool, check: Callable[[], Awaitable[Finding]]) -> Finding:
    if not possible:
        return not_seen(name, "a server is unreachable", "See broker_connection and state_connection.")
    try:
        return await check()
    except StateLost:
        return not_seen(name, "there is no state", "See epoch.")
    except PavaneError as refusal:
        return error(name, str(refusal), remedy_of(refusal))


def _print(out: Output, findings: list[Finding]) -> None:
    well = all(finding.status != "error" for finding in findings)
    if out.json:
        out.document({"ok": well, "checks": [asdict(finding) for finding in findings]})
        return
    rows = [
        (styled(finding.status), finding.name, finding.summary, finding.remedy or "") for finding in findings
    ]
    out.show(table(("STATUS", "CHECK", "SUMMARY", "REMEDY"), rows))
