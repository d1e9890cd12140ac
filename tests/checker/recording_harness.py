"""A harness of which everything is recorded, and the evidence that it leaves: crashes, faults and a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from pavane import App
from pavane.client.client import Client
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from pavane.testing import Harness
from tests.checker.collect import found_in, place_of, records_of
from tests.checker.evidence import Evidence, Found, Plan, workers_of
from tests.checker.history import History
from tests.checker.ledger import MemoryLedger
from tests.checker.recording import RecordingBroker, RecordingStore, recording_workers

MILLISECOND = 1_000_000


@dataclass(slots=True)
class Recorded:
    """A harness with its history; `ledger` is for the handlers of the app."""

    harness: Harness
    history: History
    ledger: MemoryLedger

    async def evidence(self, plan: Plan | None = None, effects: Sequence[str] = ()) -> Evidence:
        """What is known now; the harness has to be idle. `effects`: the workers that write to the ledger."""
        harness = self.harness
        listed = {status.run: status.status async for status in harness.client.runs()}
        history = self.history.entries
        return Evidence(
            history=history,
            records=await records_of(harness._store, history),
            effects=self.ledger.effects(),
            queues=lying_in(harness),
            workers=workers_of(harness._app.workers, effects),
            plan=plan or Plan(),
            now=harness._clock.now(),
            listed=listed,
        )


def lying_in(harness: Harness) -> list[Found]:
    """The messages of all queues, ready or handed out and not acknowledged."""
    found: list[Found] = []
    for queue in harness._broker._queues.values():
        out = [stored for each in queue.subscriptions for stored in each.unsettled._out.values()]
        for stored in (*queue._ready, *out):
            found.append(found_in(place_of(queue.name), queue.name, stored.message))
    return found


@asynccontextmanager
async def recorded(app: App, seed: int, *, ledger: MemoryLedger | None = None) -> AsyncGenerator[Recorded]:
    """An entered harness whose processes and client are recorded. `ledger`: that the app's services have."""
    harness = Harness(app, seed=seed)
    history = History("client", now=lambda: harness._clock.now() * MILLISECOND)
    with recorded_parts(history):
        async with harness:
            yield Recorded(harness, history, ledger or MemoryLedger(history.now))


@contextmanager
def recorded_parts(history: History) -> Generator[None]:
    """Whatever makes a process or a client in here is given recorders instead of the ports."""
    make, over = App.process, Client.over

    def process(app: App, store: Store, broker: Broker, *rest: Any, **named: Any) -> Any:
        name = str(named.get("host") or "process")
        pair = RecordingStore(store, history, name), RecordingBroker(broker, history, name)
        named["workers"] = recording_workers(named.get("workers") or app.workers, history, name)
        history.note("ok", "process", process=name, detail={"what": "started"})
        return make(app, *pair, *rest, **named)

    def client(store: Store, broker: Broker, **named: Any) -> Client:
        return over(RecordingStore(store, history), RecordingBroker(broker, history), **named)

    with ExitStack() as stack:
        stack.enter_context(patch.object(App, "process", process))
        stack.enter_context(patch.object(Client, "over", client))
        yield
