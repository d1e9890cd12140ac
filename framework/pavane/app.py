"""The application: services and workflows put together, checked, and run on a broker and a store."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any

from pavane.builder.checks import check
from pavane.builder.service import Service
from pavane.client.aging import keep_discarding
from pavane.client.client import Client
from pavane.client.connection import close_pair, connect, open_pair
from pavane.client.connection import embedded as embedded_pair
from pavane.errors import DefinitionError, UsageError
from pavane.model.definition import WorkerDefinition
from pavane.model.event import Event
from pavane.model.workflow import Workflow
from pavane.ports.broker import Broker
from pavane.ports.clock import Clock
from pavane.ports.store import Registration, Store
from pavane.runtime.catalog import Catalog
from pavane.runtime.clock import SystemClock
from pavane.runtime.crash_points import Passed, from_environment
from pavane.runtime.crew import Crew, process_name
from pavane.runtime.leaving import leave_nothing_running
from pavane.runtime.outbox import GATHER_FOR, Outbox
from pavane.runtime.patience import Patience
from pavane.runtime.process import Lifespan, Process
from pavane.runtime.signals import stop_signals
from pavane.runtime.subscriptions import Subscriptions
from pavane.runtime.topology import apply, check_memory
from pavane.runtime.watchdog import Watch, Watchdog
from pavane.settings import Settings

CLOSED_IN = 1.3
"""Seconds after the grace period by which it has disconnected: two are promised, and the interpreter needs some."""

LEAST_TO_CLOSE = 0.2

log = logging.getLogger("pavane")


@dataclass(frozen=True)
class Allow:
    """A finding of `pavane check` that is accepted, and why.

    Attributes:
        code: of the finding.
        subject: what it is about: `service.worker`, an event's or a workflow's name.
        reason: for whoever reads it later.
    """

    code: str
    subject: str
    reason: str


class App:
    """Services that run together, and the workflows they take part in.

    Args:
        services: at least one; a service may be built by a function and used under several names.
        workflows: contracts of the runs that these services start or take part in.
        events: emitted by systems outside, so that checks know them.
        allow: findings of `pavane check` that are accepted.

    Raises:
        DefinitionError: with every problem between the definitions.
    """

    def __init__(
        self,
        *,
        services: Sequence[Service[Any]],
        workflows: Sequence[Workflow[Any, Any]] = (),
        events: Sequence[type[Event]] = (),
        allow: Sequence[Allow] = (),
    ) -> None:
        self.services = tuple(services)
        self.workflows = tuple(workflows)
        self.events = tuple(events)
        self.allow = tuple(allow)
        self._is_ready = False
        problems = check(self.services, self.workflows, self.events)
        if problems:
            raise DefinitionError(*problems)

    @property
    def workers(self) -> tuple[WorkerDefinition, ...]:
        """Every worker of every service."""
        return tuple(worker for service in self.services for worker in service.definitions)

    def catalog(self, settings: Settings) -> Catalog:
        """The definitions, as the runtime looks them up."""
        return Catalog(self.workers, self.workflows, settings)

    def running(
        self, settings: Settings | None = None, *, embedded: bool = False, only: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Client]:
        """Run the workers inside an asyncio program; yields a client when every consumer exists on the broker.

        Leaving stops gracefully, within `settings.grace_period`. No signal handler is installed and logging
        is not touched.

        Args:
            settings: `None`: from the environment.
            embedded: in memory, in this process, on the real clock; no URLs are needed.
            only: services or workers (`service.worker`) to run; empty: all.

        Raises:
            SettingsError: neither URLs nor `embedded`.
            UsageError: `only` names something that is not here.
            BrokerUnavailable, StateUnavailable: a server is not there when the process starts.
            StateLost: Redis has forgotten what it had.
            TopologyMismatch: a queue or exchange exists with other arguments.
        """
        return self._running(settings or Settings(), embedded, tuple(only))

    @asynccontextmanager
    async def _running(
        self, settings: Settings, embedded: bool, only: tuple[str, ...]
    ) -> AsyncGenerator[Client, None]:
        chosen = self.choose(only)
        clock = SystemClock()
        store, broker = embedded_pair(settings, clock) if embedded else connect(settings)
        await open_pair(store, broker)
        end = 0.0
        try:
            await self.prepare(store, broker, settings)
            process = self.process(store, broker, settings, clock, only=chosen, alone=embedded)
            try:
                await process.start()
                gather_for = 0.0 if embedded else GATHER_FOR
                async with Client.over(
                    store, broker, settings=settings, clock=clock, gather_for=gather_for
                ) as client:
                    aging = asyncio.create_task(keep_discarding(client.dead_letters, self.workers, clock))
                    try:
                        yield client
                    finally:
                        aging.cancel()
            finally:
                end = asyncio.get_running_loop().time() + settings.grace_period + CLOSED_IN
                await process.stop(settings.grace_period)
        finally:
            await self._close(store, broker, end)

    @staticmethod
    async def _close(store: Store, broker: Broker, end: float) -> None:
        """Disconnect by `end`, of the loop's clock; what a frozen server does not answer is left."""
        left = max(LEAST_TO_CLOSE, end - asyncio.get_running_loop().time())
        try:
            await asyncio.wait_for(close_pair(store, broker), left)
        except TimeoutError:
            log.info("stopping: broker or store did not answer in time and is left")

    def run(
        self, settings: Settings | None = None, *, embedded: bool = False, only: Sequence[str] = ()
    ) -> None:
        """Run until SIGTERM or SIGINT, then stop gracefully; the second signal ends the process at once.

        Raises:
            As `running`.
        """
        with asyncio.Runner(loop_factory=fastest_loop()) as runner:
            runner.run(self._run(settings or Settings(), embedded, tuple(only)))

    async def _run(self, settings: Settings, embedded: bool, only: tuple[str, ...]) -> None:
        """A signal also ends a start that waits for a server or for a resource."""
        with stop_signals() as stopped:
            working = asyncio.ensure_future(self._until(stopped, settings, embedded, only))
            waiting = asyncio.ensure_future(stopped.wait())
            await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
            if not self._is_ready:
                working.cancel()
            waiting.cancel()
            try:
                await working
            except asyncio.CancelledError:
                log.info("stopped before everything was ready")
            await leave_nothing_running()

    async def _until(
        self, stopped: asyncio.Event, settings: Settings, embedded: bool, only: tuple[str, ...]
    ) -> None:
        async with self._running(settings, embedded, only):
            self._is_ready = True
            print("ready", file=sys.stderr, flush=True)
            await stopped.wait()

    # for whoever puts the parts together in another way: the command line, the test kit

    def choose(self, only: Sequence[str]) -> tuple[str, ...]:
        """Full names of the workers that `only` means; empty if it is empty.

        Raises:
            UsageError: a name that is neither a service nor a worker of this app.
        """
        chosen: list[str] = []
        for name in only:
            found = [w.full_name for w in self.workers if name in (w.service, w.full_name)]
            if not found:
                known = ", ".join(dict.fromkeys(worker.service for worker in self.workers))
                raise UsageError(f"{name!a:.80} is no service or worker here.", remedy=f"Services: {known}.")
            chosen += found
        return tuple(dict.fromkeys(chosen))

    async def prepare(self, store: Store, broker: Broker, settings: Settings) -> None:
        """Declare what the workers need, or, told not to, make sure that the store remembers."""
        topology = self.catalog(settings).topology()
        if settings.declare == "auto":
            await apply(store, broker, topology)
        else:
            await check_memory(store, broker, topology)

    def registrations(self, settings: Settings) -> list[Registration]:
        """What each service tells the others about itself."""
        workflows = {workflow.name: describe(workflow) for workflow in self.workflows}
        return [
            Registration(
                service=service.name,
                subscriptions={
                    worker.full_name: tuple(event.event_name for event in worker.events)
                    for worker in service.definitions
                },
                workflows=workflows,
                alert_at={
                    worker.full_name: worker.dead_letters.alert_at
                    for worker in service.definitions
                    if worker.dead_letters.alert_at > 1
                },
                emits={
                    worker.full_name: tuple(event.event_name for event in worker.produces)
                    for worker in service.definitions
                },
            )
            for service in self.services
        ]

    def process(
        self,
        store: Store,
        broker: Broker,
        settings: Settings,
        clock: Clock,
        *,
        only: tuple[str, ...] = (),
        alone: bool = False,
        random: Random | None = None,
        passed: Passed | None = None,
        nonce: str | None = None,
        host: str | None = None,
        workers: Sequence[WorkerDefinition] | None = None,
        lifespans: Mapping[str, Lifespan] | None = None,
        watchdog: Watch | None = None,
    ) -> Process:
        """The workers of one process over a store and a broker that are open.

        Args:
            only, alone: as for `Process`.
            random, nonce, host: where its chances, its begin-ids and its name come from.
            passed: called at every crash point.
            workers, lifespans: instead of the services' own.
            watchdog: who is told that handlers run; `None`: a thread that watches this event loop.
        """
        random = random or SystemRandom()
        patience = Patience(clock, random)
        subscriptions = Subscriptions(store, clock)
        catalog = Catalog(workers or self.workers, self.workflows, settings)
        crew = Crew(
            settings=settings,
            store=store,
            broker=broker,
            clock=clock,
            random=random,
            catalog=catalog,
            subscriptions=subscriptions,
            patience=patience,
            outbox=Outbox(
                store,
                broker,
                subscriptions,
                catalog.names,
                patience,
                gather_for=0.0 if alone else GATHER_FOR,
                services=serving(workers or self.workers, only),
            ),
            watchdog=watchdog or Watchdog(asyncio.get_running_loop()),
            passed=passed or from_environment(),
            host=host or process_name(),
        )
        if nonce is not None:
            crew.nonce = nonce
        if lifespans is None:
            lifespans = {service.name: service.lifespan for service in self.services}
        return Process(crew, lifespans, self.registrations(settings), only=only, alone=alone)


def serving(workers: Sequence[WorkerDefinition], only: Sequence[str]) -> set[str]:
    """The services that have workers among those that are to run."""
    return {worker.service for worker in workers if not only or worker.full_name in only}


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop, if the extra `fast` is installed; `None`: asyncio's own."""
    try:
        uvloop: Any = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def describe(workflow: Workflow[Any, Any]) -> str:
    """A workflow's contract as a JSON document, for readers that have not loaded it."""
    return json.dumps(
        {
            "name": workflow.name,
            "description": workflow.description,
            "starts_with": workflow.starts_with.event_name,
            "completes_with": [event.event_name for event in workflow.completes_with],
            "fails_with": [event.event_name for event in workflow.fails_with],
            "deadline_s": workflow.deadline_ms / 1000 if workflow.deadline_ms else None,
        }
    )
