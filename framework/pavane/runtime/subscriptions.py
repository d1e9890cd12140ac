"""Who subscribes to what, over all services: this process's copy of what each has registered in the store.

It decides whether an event that no queue takes is normal, and which of pavane's own events anybody wants.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from pavane.errors import InfrastructureError
from pavane.ports.clock import Clock
from pavane.ports.store import Registration, Store

REFRESH_EVERY = 30_000
FRAMEWORK = "pavane."

log = logging.getLogger("pavane")


class Subscriptions:
    """A copy of the registrations, read at the start, every 30 seconds and when an event came back."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._subscribers: dict[str, frozenset[str]] = {}
        self.framework: tuple[str, ...] = ()
        """Names of pavane's own events that some worker subscribes to."""

    async def announce(self, registration: Registration) -> None:
        """Tell everybody what a service of this process subscribes to."""
        await self._store.register(registration)

    async def refresh(self) -> None:
        """Read what all services have registered.

        Raises:
            StateUnavailable: the copy stays as it is.
        """
        found: dict[str, set[str]] = defaultdict(set)
        for one in await self._store.registrations():
            for events in one.subscriptions.values():
                for event in events:
                    found[event].add(one.service)
        self._subscribers = {event: frozenset(services) for event, services in found.items()}
        self.framework = tuple(sorted(event for event in found if event.startswith(FRAMEWORK)))

    def anybody(self, event: str) -> bool:
        """Whether some registered worker subscribes to `event`."""
        return event in self._subscribers

    def services_of(self, event: str) -> frozenset[str]:
        """The services with a registered worker that subscribes to `event`."""
        return self._subscribers.get(event, frozenset())

    async def keep_fresh(self) -> None:
        """Refresh for ever. An outage is somebody else's to report."""
        while True:
            await self._clock.sleep(REFRESH_EVERY)
            try:
                await self.refresh()
            except InfrastructureError as error:
                log.debug("subscriptions are not refreshed: %s", error)
            except asyncio.CancelledError:
                raise
