"""One process: puts the crew to work, and brings it to an end without losing or repeating anything.

Starting: resources open, subscriptions are registered, consumers subscribe, the relay starts.
Stopping, each step bounded: consumers cancel; running handlers get the grace period, and are told; what is
left is cut short and its leases given back, which spends no attempt; unacknowledged deliveries go back with
their channels; resources close. What this trades away is only time: a job cut short runs again elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from pavane.core.topology import Names
from pavane.model.definition import WorkerDefinition
from pavane.ports.store import Registration
from pavane.runtime.consumer import Consumer
from pavane.runtime.crew import Crew
from pavane.runtime.intake import Intake
from pavane.runtime.job import Jobs
from pavane.runtime.relay import Relay
from pavane.runtime.resources import Resources
from pavane.runtime.takeover import Takeover
from pavane.runtime.threads import HandlerThreads

INTAKE_PREFETCH = 8
MOST_THREADS = 64
CUT_SHORT_IN = 0.6
"""Seconds that handlers cut short at the end of the grace period have to give their leases back."""

CANCELLED_IN = 0.1
TIDY_UP_IN = 0.3
"""Seconds for what a server has to answer, where one that is frozen must not keep the process."""

Lifespan = Callable[[], AbstractAsyncContextManager[Any]] | None

log = logging.getLogger("pavane")


class Process:
    """The workers of some services in this process."""

    def __init__(
        self,
        crew: Crew,
        lifespans: Mapping[str, Lifespan],
        registrations: Sequence[Registration],
        *,
        only: Sequence[str] = (),
        alone: bool = False,
    ) -> None:
        """Args:
        lifespans: by service, for those that run here.
        registrations: what each service of the app tells the others.
        only: full names of the workers to run; empty: all.
        alone: no other process shares broker and store.
        """
        self._crew = crew
        self._alone = alone
        self._registrations = registrations
        self._workers = [w for w in crew.catalog.workers.values() if not only or w.full_name in only]
        self._resources = {
            service: Resources(service, lifespans.get(service), crew.clock, crew.random)
            for service in dict.fromkeys(worker.service for worker in self._workers)
        }
        self.relay = Relay(crew, alone=alone)
        self._takeover = Takeover(crew, tuple(self._resources))
        self.consumers: list[Consumer] = []
        self._background: list[asyncio.Task[None]] = []
        threads = sum(self._prefetch(w) for w in self._workers if not w.is_async)
        self._threads = HandlerThreads(max(1, min(threads, MOST_THREADS)))

    @property
    def ready(self) -> bool:
        """Whether this process can do its work right now: it consumes, and the store answers and remembers."""
        return not self.unready_because

    @property
    def unready_because(self) -> str:
        """Why it is not ready; empty if it is.

        A store that went away is noticed by whoever asks it next: a job at once, the relay within 15 s.
        """
        missing = sum(not consumer.ready for consumer in self.consumers)
        if missing or not self.consumers:
            return f"{missing or 'all'} consumers do not exist on the broker"
        error = self._crew.patience.missed("state")
        return str(error) if error else ""

    @property
    def busy(self) -> bool:
        """Whether a job, its relay or a mark has begun and not ended, be it that it waits for a server."""
        return self.relay.busy or self._crew.outbox.busy or any(one.tasks for one in self.consumers)

    @property
    def jobs(self) -> tuple[asyncio.Task[None], ...]:
        """Deliveries that are being settled now."""
        return tuple(task for consumer in self.consumers for task in consumer.tasks)

    async def start(self) -> None:
        """Return when every consumer exists on the broker. Cancelling it leaves `stop` to be called."""
        crew = self._crew
        for registration in self._registrations:
            await crew.patience.insist("state", lambda one=registration: crew.store.register(one))  # type: ignore[misc]
        await crew.patience.insist("state", crew.subscriptions.refresh)
        if not self._alone:
            self._start(crew.subscriptions.keep_fresh())
            self._start(self._takeover.run())
        self._start(self.relay.run())
        await asyncio.gather(*(self._start_service(service) for service in self._resources))

    def _start(self, work: Any) -> None:
        self._background.append(asyncio.get_running_loop().create_task(work))

    async def _start_service(self, service: str) -> None:
        """Open what the service needs, then consume."""
        resources = await self._resources[service].open()
        names = self._crew.catalog.names
        consumers = [
            consumer
            for worker in self._workers
            if worker.service == service
            for consumer in self._consumers_of(worker, names, resources)
        ]
        intake = Intake(self._crew, service)
        consumers.append(Consumer(self._crew, names.intake(service), INTAKE_PREFETCH, intake.settle))
        self.consumers += consumers
        await asyncio.gather(*(consumer.start() for consumer in consumers))

    def _consumers_of(self, worker: WorkerDefinition, names: Names, resources: object) -> list[Consumer]:
        jobs = Jobs(self._crew, worker, resources, self._threads)
        queues = [names.queue(worker.service, worker.name)]
        if worker.compensation is not None:
            queues.append(names.undo_queue(worker.service, worker.name))
        return [Consumer(self._crew, queue, self._prefetch(worker), jobs.settle) for queue in queues]

    def _prefetch(self, worker: WorkerDefinition) -> int:
        return worker.prefetch or self._crew.settings.prefetch

    async def stop(self, grace: float) -> None:
        """End within `grace` seconds and a second and a half more, whatever does not answer. Idempotent.

        Jobs, and after them the resources, share the grace period; a server that is frozen gets little of it.
        """
        crew = self._crew
        clock = asyncio.get_running_loop()
        grace_over = clock.time() + grace
        crew.stopping = True
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._background.clear()
        await self._bounded(
            (consumer.cancel() for consumer in self.consumers), min(1.0, max(grace, TIDY_UP_IN))
        )
        await self._finish(max(0.0, grace_over - clock.time()))
        self._takeover.kill()
        closing = [consumer.close() for consumer in self.consumers]
        await self._bounded((crew.outbox.drain(), self.relay.close(), *closing), TIDY_UP_IN)
        self.consumers.clear()
        left = max(TIDY_UP_IN, grace_over - clock.time())
        await self._bounded((resources.close() for resources in self._resources.values()), left)
        crew.watchdog.stop()
        self._threads.shutdown()

    def kill(self) -> None:
        """End at once, as SIGKILL ends a process: nothing is finished, given back, written or closed.

        Handlers are cancelled, because a task cannot be taken away; what they do then is told to nobody.
        """
        crew = self._crew
        crew.stopping = True
        for task in (*self._background, *self.jobs):
            task.cancel()
        self.relay.kill()
        self._takeover.kill()
        crew.outbox.kill()
        crew.watchdog.stop()
        self._threads.shutdown()

    async def _finish(self, grace: float) -> None:
        """Let handlers end; at the end of the grace period cut them short; then leave what is still there."""
        jobs = self.jobs
        if not jobs:
            return
        log.info("stopping: %d running jobs have %.1f s to end", len(jobs), grace)
        _, left = await asyncio.wait(jobs, timeout=grace)
        for attempt in list(self._crew.attempts):
            attempt.cut("shutdown")
        if left:
            _, left = await asyncio.wait(left, timeout=CUT_SHORT_IN)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCELLED_IN)

    @staticmethod
    async def _bounded(work: Iterable[Coroutine[Any, Any, None]], seconds: float) -> None:
        """Tidy up what can be tidied up in time: nothing of it is needed for correctness."""
        tasks = [asyncio.ensure_future(one) for one in work]
        if not tasks:
            return
        done, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            log.info("stopping: something did not answer within %.1f s and is left", seconds)
            await asyncio.wait(late, timeout=CANCELLED_IN)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.info("stopping: %s: %s", type(error).__name__, error)
