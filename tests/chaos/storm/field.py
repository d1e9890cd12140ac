"""Where the storm is: servers, proxies, processes, and the history of what struck them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Coroutine, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Self

from tests.chaos.storm.fleet import Replica
from tests.chaos.storm.plan import Plan
from tests.chaos.storm.worker import CASTS, FOLDER, SEED, Cast
from tests.checker.history import History
from tests.proxy import AmqpProxy, FaultProxy, LoopThread, RedisProxy
from tests.servers import KEEPS_ALL, RabbitServer, RedisServer

SETTINGS = {
    "PAVANE_HEARTBEAT": "5",
    "PAVANE_GRACE_PERIOD": "5",
    "PAVANE_PUBLISH_TIMEOUT": "5",
    "PAVANE_STATE_TIMEOUT": "3",
    "PAVANE_PREFETCH": "8",
    "PAVANE_SHARDS": "4",
}
"""Shorter than usual, so that what is lost is noticed while the storm lasts."""

LATENCY = "0.05"
CALM_WATERMARK = ("0.5",)
PATIENT = 180.0
NEMESIS = "nemesis"


class Field:
    """Use `pitched`, which opens and closes it.

    Attributes:
        namespaces: of each cast.
        client_proxies: through which the client of the load goes.
        broker_busy, store_busy: held by whatever is done to a server.
        replaced_in: seconds that processes took to end when they were asked to.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.folder = folder
        self.namespaces = {cast: f"{cast}_{secrets.token_hex(4)}" for cast in CASTS}
        self.history = History.in_folder(folder / NEMESIS, "nemesis")
        self.rabbit, self.redis = RabbitServer(), RedisServer(options=KEEPS_ALL)
        self.broker_busy, self.store_busy = asyncio.Lock(), asyncio.Lock()
        self.replaced_in: list[float] = []
        self.replicas: list[Replica] = []
        self.client_proxies: tuple[AmqpProxy, RedisProxy]
        self._cast: list[tuple[str, Cast]] = [
            (f"w{number}", CASTS[number % len(CASTS)]) for number in range(1, plan.workers + 1)
        ]
        self._environment = SETTINGS | {
            FOLDER: str(folder),
            SEED: str(plan.seed),
            "DATA": str(folder),
            "LATENCY": LATENCY,
            "PAVANE_IDLE_AFTER": str(plan.idle_after),
        }
        self._struck = 0
        self._alarmed = False
        self._last_end = float("-inf")
        self._stack = ExitStack()
        self._keepers: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def pitched(cls, plan: Plan, folder: Path) -> AsyncGenerator[Self, None]:
        """Servers up, proxies listening; processes are started by `start`."""
        for name in (NEMESIS, *CASTS):
            (folder / name).mkdir(parents=True)
        field = cls(plan, folder)
        with field._stack:
            await asyncio.gather(
                *(
                    asyncio.to_thread(field._stack.enter_context, server)
                    for server in (field.rabbit, field.redis)
                )
            )
            thread = field._stack.enter_context(LoopThread())
            field.client_proxies = field._proxies(thread)
            field.replicas = [field._replica(name, cast, thread) for name, cast in field._cast]
            try:
                yield field
            finally:
                await field._leave()

    def _replica(self, name: str, cast: Cast, thread: LoopThread) -> Replica:
        environment = self._environment | {"PAVANE_NAMESPACE": self.namespaces[cast]}
        proxies = self._proxies(thread)
        return Replica(name, cast, environment, proxies, self.history, self.folder, self.was_disturbed)

    def _proxies(self, thread: LoopThread) -> tuple[AmqpProxy, RedisProxy]:
        return (
            self._stack.enter_context(AmqpProxy(thread, self.rabbit.url)),
            self._stack.enter_context(RedisProxy(thread, self.redis.url)),
        )

    async def start(self) -> None:
        """All processes, ready. The first of each cast declares and registers before the others look."""
        many = len(CASTS)
        for group in (self.replicas[:many], self.replicas[many:]):
            self._keepers += [asyncio.create_task(replica.run()) for replica in group]
            await self.beside_keepers(asyncio.gather(*(replica.ready.wait() for replica in group)))

    async def beside_keepers(self, work: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> Any:
        """Do the work; a process that hangs ends it.

        Raises:
            Hangs: with its log.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, *self._keepers), return_when=asyncio.FIRST_COMPLETED)
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()
            return await task
        finally:
            task.cancel()

    async def stop(self) -> None:
        """End all processes in order."""
        await self._dismiss()
        await asyncio.gather(*(replica.stop() for replica in self.replicas))

    async def _dismiss(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()

    async def _leave(self) -> None:
        await self._dismiss()
        for replica in self.replicas:
            await replica.close()
        self.history.close()

    # what faults need

    @property
    def proxies(self) -> Sequence[FaultProxy]:
        """All proxies: the client is hit too."""
        pairs = [self.client_proxies, *(replica.proxies for replica in self.replicas)]
        return [proxy for pair in pairs for proxy in pair]

    @property
    def amqp_proxies(self) -> Sequence[AmqpProxy]:
        return [self.client_proxies[0], *(replica.amqp for replica in self.replicas)]

    @property
    def redis_proxies(self) -> Sequence[RedisProxy]:
        return [self.client_proxies[1], *(replica.redis for replica in self.replicas)]

    def victim(self, random: Random) -> Replica:
        """A process that nothing else is done to, if there is one."""
        free = [replica for replica in self.replicas if not replica.busy.locked()]
        return random.choice(free or self.replicas)

    def was_disturbed(self, since: float) -> bool:
        """Whether a fault struck at some time since this moment of the monotonic clock."""
        return self._struck > 0 or self._last_end >= since

    @contextmanager
    def struck_by(self, kind: str) -> Generator[None, None, None]:
        """Writes a fault into the history while it lasts."""
        invoked = self.history.note("invoke", "nemesis", detail={"what": kind})
        self._struck += 1
        try:
            yield
        finally:
            self._struck -= 1
            self._last_end = time.monotonic()
            self.history.note("ok", "nemesis", of=invoked.seq, detail={"what": kind})

    async def set_watermark(self, *words: str) -> None:
        """Let RabbitMQ be short of memory from so much on. A command of it takes long on a busy machine."""
        self._alarmed = True
        await asyncio.to_thread(
            self.rabbit.rabbitmqctl, "set_vm_memory_high_watermark", *words, timeout=PATIENT
        )
        self._alarmed = words != CALM_WATERMARK

    async def heal(self) -> None:
        """Everything as it should be; returns when all processes are ready."""
        for proxy in self.proxies:
            proxy.heal()
        await asyncio.to_thread(self.rabbit.start)
        if self._alarmed:
            await self.set_watermark(*CALM_WATERMARK)
        await asyncio.to_thread(self.redis.start)
        await asyncio.gather(*(replica.ready.wait() for replica in self.replicas))
