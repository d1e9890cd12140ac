"""The recorders, and how a program is recorded that makes its own store and broker.

store = RecordingStore(store, history)        the ports of one process: a worker, a client
broker = RecordingBroker(broker, history)
workers = recording_workers(app.workers, history)

with recorded_ports(history):                 or whatever `app.run()` and `Client.connect()` open in here
    app.run()
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

from pavane.app import App
from pavane.model.definition import WorkerDefinition
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from tests.checker.history import History
from tests.checker.recording_broker import RecordingBroker as RecordingBroker
from tests.checker.recording_handlers import recording_workers as recording_workers
from tests.checker.recording_store import RecordingStore as RecordingStore

Pair = tuple[Store, Broker]

OPENED = ("pavane.app.connect", "pavane.app.embedded_pair", "pavane.client.client.connect")
"""The names under which pavane opens a pair."""


@contextmanager
def recorded_ports(history: History, process: str = "") -> Generator[None]:
    """Record every pair that pavane opens in here, and the handlers of every app."""

    def recording(connect: Callable[..., Pair]) -> Callable[..., Pair]:
        def connected(*arguments: Any) -> Pair:
            store, broker = connect(*arguments)
            return RecordingStore(store, history, process), RecordingBroker(broker, history, process)

        return connected

    def recorded_handlers(app: App) -> tuple[WorkerDefinition, ...]:
        defined = tuple(worker for service in app.services for worker in service.definitions)
        return recording_workers(defined, history, process)

    with ExitStack() as stack:
        for name in OPENED:
            stack.enter_context(patch(name, recording(resolve_name(name))))
        stack.enter_context(patch.object(App, "workers", property(recorded_handlers)))
        yield
