"""What a client and all that it hands out work with: one value, made once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence

from pavane.core.answers import Publication
from pavane.core.identity import time_ordered_id
from pavane.core.topology import Names
from pavane.errors import InfrastructureError
from pavane.ports.broker import Broker
from pavane.ports.clock import Clock
from pavane.ports.store import Store
from pavane.runtime.crash_points import Passed, pass_by
from pavane.runtime.outbox import Outbox
from pavane.runtime.subscriptions import Subscriptions
from pavane.settings import Settings

log = logging.getLogger("pavane")


class Means:
    """Store, broker, settings and clock of a client, and how it publishes.

    Args:
        random_bytes: so many random bytes, for the ids of events.
        gather_for: as for `runtime.outbox.Outbox`.
        passed: called at every crash point.
    """

    def __init__(
        self,
        store: Store,
        broker: Broker,
        settings: Settings,
        clock: Clock,
        random_bytes: Callable[[int], bytes] = os.urandom,
        *,
        gather_for: float = 0.0,
        passed: Passed = pass_by,
    ) -> None:
        self.store = store
        self.broker = broker
        self.settings = settings
        self.clock = clock
        self.passed = passed
        self.names = Names(settings.namespace)
        self.subscriptions = Subscriptions(store, clock)
        self._random_bytes = random_bytes
        self._outbox = Outbox(
            store,
            broker,
            self.subscriptions,
            self.names,
            gather_for=gather_for,
        )

    def new_id(self) -> str:
        """An id that no other event has, later ones sorting behind earlier ones."""
        return time_ordered_id(self.clock.now(), self._random_bytes(10))

    async def subscribed(self) -> tuple[str, ...]:
        """Names of pavane's own events that somebody subscribes to, as registered now."""
        await self.subscriptions.refresh()
        return self.subscriptions.framework

    async def publish(self, record: str, rows: Sequence[Publication]) -> None:
        """Publish what a call has recorded; what fails here the relay publishes."""
        if not rows:
            return
        self.passed("client_write", "", "step")
        try:
            await self._outbox.publish(record, rows, marked=lambda: self.passed("client_mark", "", "step"))
            self.passed("client_publish", "", "step")
        except InfrastructureError as error:
            log.warning("%s: what is new is left to the workers' relay to publish: %s", record, error)

    async def drain(self) -> None:
        """Wait for the marks that are on their way."""
        await self._outbox.drain()
