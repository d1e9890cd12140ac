"""Where the services run: in this process on the pair in memory, or a process per service on servers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from contracts.order_fulfilment import order_fulfilment
from pavane import App, Client, Settings
from services.demo.options import Options
from services.demo.servers import ServiceProcesses
from services.inventory import inventory
from services.notifications import notifications
from services.orders import orders
from services.payments import payments
from services.shipping import shipping

app = App(services=[orders, inventory, payments, shipping, notifications], workflows=[order_fulfilment])


class Stage(ABC):
    """The running services, and a client beside them."""

    client: Client

    @abstractmethod
    async def stop_workers(self) -> None:
        """Stop the services where the queues outlive them, so that all that is left in a queue is seen."""


class EmbeddedStage(Stage):
    """All in this process."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def stop_workers(self) -> None:
        """The queues are this process's own and would end with the workers."""


class ServerStage(Stage):
    """A process per service."""

    def __init__(self, client: Client, processes: ServiceProcesses) -> None:
        self.client = client
        self._processes = processes

    async def stop_workers(self) -> None:
        await self._processes.stop()


@asynccontextmanager
async def running(options: Options, settings: Settings) -> AsyncGenerator[Stage, None]:
    """The five services, ready, for as long as the block lasts."""
    if not options.on_servers:
        async with app.running(settings, embedded=True) as client:
            yield EmbeddedStage(client)
        return
    async with Client(settings) as client:
        processes = ServiceProcesses([service.name for service in app.services])
        try:
            await processes.start({"PAVANE_NAMESPACE": settings.namespace})
            yield ServerStage(client, processes)
        finally:
            await processes.stop()
