"""`make soak`.

Variables: MINUTES (30), RATE (250 steps a second), WORKERS (2 processes), JSON=1 (one object in the last line). The
exit code is 0 if every gate was passed, 1 if one was not.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pavane import Client, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.topology import queues_of
from pavane.ports.broker import Broker
from pavane.runtime.clock import SystemClock
from tests.crash.workers import WorkerProcess
from tests.servers import RabbitServer, RedisServer
from tests.soak.gates import Drained, Gate, judge
from tests.soak.gauges import Gauges, Sample
from tests.soak.worker import LENGTH, PULSE, Begun, app, soak

OK, MISSED = 0, 1
MINUTES, RATE, WORKERS = 30.0, 250.0, 2
LOOKED_EVERY = 15.0
RETENTION = 60.0
"""Seconds for which an ended run is kept: in half an hour as many are forgotten as come."""

DRAINED_WITHIN = 300.0
TEXT = "x" * 200


def main() -> int:
    """Play it and say what came of it."""
    minutes = float(os.environ.get("MINUTES") or MINUTES)
    rate = float(os.environ.get("RATE") or RATE)
    workers = int(os.environ.get("WORKERS") or WORKERS)
    say(f"{rate:g} steps a second for {minutes:g} minutes, {workers} processes.")
    with (
        tempfile.TemporaryDirectory(prefix="pavane-soak-") as folder,
        RabbitServer() as rabbit,
        RedisServer() as store,
    ):
        gates = asyncio.run(Soak(minutes * 60, rate, workers, Path(folder), rabbit, store).play())
    for gate in gates:
        say(f"{VERDICTS[gate.passed]:7} {gate.name}: {gate.told}")
    missed = [gate.name for gate in gates if gate.passed is False]
    if os.environ.get("JSON", "0") != "0":
        say(json.dumps({"ok": not missed, "minutes": minutes, "gates": [vars(gate) for gate in gates]}))
    return MISSED if missed else OK


VERDICTS = {True: "ok", False: "MISSED", None: "?"}


class Soak:
    """One soak; `play` it."""

    def __init__(
        self,
        lasting: float,
        rate: float,
        workers: int,
        folder: Path,
        rabbit: RabbitServer,
        store: RedisServer,
    ) -> None:
        self._lasting = lasting
        self._rate = rate
        self._rabbit, self._store = rabbit, store
        self._settings = Settings(
            broker_url=rabbit.url,
            state_url=store.url,
            namespace=f"soak_{secrets.token_hex(4)}",
            retention=RETENTION,
        )
        environment = {
            "PAVANE_BROKER_URL": rabbit.url,
            "PAVANE_STATE_URL": store.url,
            "PAVANE_NAMESPACE": self._settings.namespace,
            "PAVANE_RETENTION": str(RETENTION),
        }
        self._pulses = [folder / f"{number}.pulse" for number in range(workers)]
        self._processes = [
            WorkerProcess(environment | {PULSE: str(pulse)}, module="tests.soak.worker")
            for pulse in self._pulses
        ]
        self._samples: list[Sample] = []
        self._started = 0

    async def play(self) -> list[Gate]:
        """Load, drain, judge."""
        store, broker = connect(self._settings)
        try:
            for process in self._processes:
                await process.start()
            await open_pair(store, broker)
            client = Client.over(store, broker, settings=self._settings, clock=SystemClock(), gather_for=0.01)
            gauges = Gauges([one.pid for one in self._processes], self._pulses, self._rabbit, self._store)
            before = await asyncio.to_thread(gauges.look, 0.0)
            began = time.monotonic()
            looking = asyncio.create_task(self._look(gauges, began))
            await self._load(client, began)
            loaded_for = time.monotonic() - began
            left = await self._drain(client, broker, gauges, before.keys)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            last = await asyncio.to_thread(gauges.look, time.monotonic() - began)
            return judge(
                self._samples,
                Drained(
                    wanted=self._rate,
                    started=self._started,
                    steps=last.steps,
                    loaded_for=loaded_for,
                    tasks_before=sum(before.tasks),
                    tasks=sum(last.tasks),
                    keys_before=before.keys,
                    keys=last.keys,
                    log=await asyncio.to_thread(gauges.log_on_disk),
                    left=left,
                ),
            )
        finally:
            for process in self._processes:
                await process.close()
            await close_pair(store, broker)

    async def _load(self, client: Client, began: float) -> None:
        """Start runs at an even rate, for as long as it lasts."""
        async with asyncio.TaskGroup() as starts:
            for number in itertools.count():
                due = began + number * LENGTH / self._rate
                if due - began >= self._lasting:
                    return
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                starts.create_task(self._start(client, number))

    async def _start(self, client: Client, number: int) -> None:
        await client.start(soak, Begun(key=str(number), text=TEXT))
        self._started += 1

    async def _look(self, gauges: Gauges, began: float) -> None:
        """Now and then, while the load lasts."""
        while True:
            await asyncio.sleep(LOOKED_EVERY)
            at = time.monotonic() - began
            if at > self._lasting:
                return
            sample = await asyncio.to_thread(gauges.look, at)
            self._samples.append(sample)
            say(
                f"{at:6.0f} s  {sample.steps} steps, memory {mebibytes(sample.rss)} MiB, {sum(sample.fds)} fds, "
                f"{sum(sample.tasks)} tasks, {sample.channels} channels, {sample.keys} keys"
            )

    async def _drain(self, client: Client, broker: Broker, gauges: Gauges, before: int) -> list[str]:
        """Wait until all has ended and is forgotten; what is left after some minutes."""
        end = time.monotonic() + DRAINED_WITHIN
        queues = queues_of(app.catalog(self._settings).topology())
        while True:
            running = await client.runs(status=("running", "waiting", "stalled", "compensating")).count()
            counts = await broker.count(queues)
            waiting = sum(count.ready for count in counts if count)
            letters = await client.dead_letters.list().count()
            told = {"runs have not ended": running, "messages wait": waiting, "dead letters": letters}
            left = [f"{count} {what}" for what, count in told.items() if count]
            keys = await asyncio.to_thread(gauges.keys)
            if (not left and keys <= before * 1.05) or time.monotonic() > end:
                return left
            await asyncio.sleep(1)


def mebibytes(sizes: Sequence[float]) -> str:
    return " + ".join(f"{size:.1f}" for size in sizes)


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
