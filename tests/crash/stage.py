"""A namespace of its own on real servers: runs are started in it, processes work in it, its remains are judged."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pavane import App, Client, RunStatus, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.record import JobKind, Record, StepRow, Work
from pavane.core.topology import queues_of, wheel_queues_of
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from tests.crash.ledger import VARIABLE, Ledger
from tests.crash.program import Begun, app, chain
from tests.crash.workers import WorkerProcess


async def eventually(what: str, true: Callable[[], Awaitable[object]], within: float = 30.0) -> None:
    """Ask until it is true.

    Raises:
        AssertionError: saying what was waited for, and the last answer.
    """
    end = time.monotonic() + within
    while not (answer := await true()):
        assert time.monotonic() < end, f"not within {within:g} s: {what} (last: {answer!r})"
        await asyncio.sleep(0.05)


class Stage:
    """Use `set_up`, which opens and closes it."""

    def __init__(self, environment: dict[str, str], folder: Path, program: App) -> None:
        self.environment = environment
        self.ledger = Ledger(folder / f"{environment['PAVANE_NAMESPACE']}.ledger")
        self.settings = Settings(
            broker_url=environment["PAVANE_BROKER_URL"],
            state_url=environment["PAVANE_STATE_URL"],
            namespace=environment["PAVANE_NAMESPACE"],
            shards=int(environment["PAVANE_SHARDS"]),
        )
        self.topology = program.catalog(self.settings).topology()
        self.names = self.topology.names
        self._program = program
        self.store: Store
        self.broker: Broker
        self.client: Client

    async def open(self) -> None:
        self.store, self.broker = connect(self.settings)
        await open_pair(self.store, self.broker)
        self.client = Client.over(self.store, self.broker, settings=self.settings, clock=clock())

    def process(self, *only: str, module: str = "tests.crash.program", **variables: str) -> WorkerProcess:
        """A worker process of this namespace, not started yet; `variables` are `PAVANE_*`, in lower case."""
        extra = {f"PAVANE_{name.upper()}": value for name, value in variables.items()}
        environment = self.environment | {VARIABLE: str(self.ledger.path)} | extra
        return WorkerProcess(environment, *only, module=module)

    # what there is

    async def record(self, key: str) -> Record:
        record = await self.store.read(f"chain:{key}")
        assert record is not None, f"no run {key}"
        return record

    async def row(self, key: str, worker: str) -> StepRow | None:
        """The only row of a worker in a run."""
        rows = [row for row in (await self.record(key)).steps.values() if row.worker == worker]
        assert len(rows) <= 1, rows
        return rows[0] if rows else None

    async def work(self, key: str, worker: str, kind: JobKind) -> Work | None:
        row = await self.row(key, worker)
        return row.of(kind) if row else None

    def queue(self, worker: str, kind: JobKind = "step") -> str:
        service, _, name = worker.partition(".")
        return (self.names.queue if kind == "step" else self.names.undo_queue)(service, name)

    def dead_letter_queue(self, worker: str) -> str:
        service, _, name = worker.partition(".")
        return self.names.dead_letter_queue(service, name)

    def wheel(self) -> list[str]:
        return [*wheel_queues_of(self.topology)]

    async def ready_in(self, *queues: str) -> int:
        """Messages that wait in these queues."""
        counts = await self.broker.count(queues)
        assert None not in counts, [queue for queue, count in zip(queues, counts, strict=True) if not count]
        return sum(count.ready for count in counts if count)

    def queues(self) -> list[str]:
        """Every queue of the namespace, the delay wheel's included."""
        return [*queues_of(self.topology), *self.wheel()]

    async def full_queues(self) -> dict[str, int]:
        """Messages by queue, of those queues that hold any."""
        counts = await self.broker.count(self.queues())
        return {count.queue: count.ready for count in counts if count is not None and count.ready}

    async def nothing_waits(self, within: float = 20.0) -> None:
        """Wait until no queue of the namespace holds a message."""

        async def empty() -> bool:
            with suppress(BrokerUnavailable):  # it was away, and this connection has not come back yet
                return not await self.full_queues()
            return False

        try:
            await eventually("every queue empty", empty, within)
        except AssertionError:
            raise AssertionError(f"messages are left: {await self.full_queues()}") from None

    # what is done

    async def begin_run(self, key: str, **ask: str) -> str:
        await self.client.start(chain, Begun(key=key, ask=ask))
        return key

    async def ending(self, key: str, within: float = 40.0) -> RunStatus:
        try:
            return await self.client.run(chain, key).wait(within)
        except TimeoutError as error:
            lines = [f"{e.kind} {e.step_id or ''} {e.reason or ''}" for e in await self.history(key)]
            raise AssertionError("\n".join([str(error), *lines])) from None

    async def history(self, key: str) -> list:
        return await self.client.run(chain, key).history().all()

    async def outcomes(self, key: str, worker: str, kind: JobKind = "step") -> list[str | None]:
        """How the attempts of a step ended, as a reader of the run sees them."""
        [step] = await self.client.run(chain, key).steps(worker=worker).all()
        if kind == "undo":
            assert step.undo is not None
            return [attempt.outcome for attempt in step.undo.attempts]
        return [attempt.outcome for attempt in step.attempts]

    async def prepare(self) -> None:
        """Declare the topology, so that runs can be started before any process works."""
        await self._program.prepare(self.store, self.broker, self.settings)


def clock():
    from pavane.runtime.clock import SystemClock

    return SystemClock()


@asynccontextmanager
async def set_up(
    broker_url: str, state_url: str, folder: Path, *, program: App = app, **variables: str
) -> AsyncIterator[Stage]:
    """A stage on these servers; `variables` are `PAVANE_*` of its processes, in lower case."""
    environment = {
        "PAVANE_BROKER_URL": broker_url,
        "PAVANE_STATE_URL": state_url,
        "PAVANE_NAMESPACE": f"t{secrets.token_hex(6)}",
        "PAVANE_SHARDS": "2",
        "PAVANE_GRACE_PERIOD": "5",
    } | {f"PAVANE_{name.upper()}": value for name, value in variables.items()}
    stage = Stage(environment, folder, program)
    await stage.open()
    try:
        yield stage
    finally:
        await close_pair(stage.store, stage.broker)
