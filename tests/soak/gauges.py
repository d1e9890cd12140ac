"""What is measured."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.servers import RabbitServer, RedisServer

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """One look at everything.

    Attributes:
        at: seconds since the load began.
        rss: MiB of each process; `fds`, `threads` and `tasks` of each as well.
        channels, consumers: on the broker, of all processes.
    """

    at: float
    rss: tuple[float, ...]
    fds: tuple[int, ...]
    threads: tuple[int, ...]
    tasks: tuple[int, ...]
    steps: int
    channels: int
    consumers: int
    keys: int


class Gauges:
    """Looks at some processes and the servers that they use. Blocking."""

    def __init__(
        self, pids: Sequence[int], pulses: Sequence[Path], rabbit: RabbitServer, store: RedisServer
    ) -> None:
        self._pids = pids
        self._pulses = pulses
        self._rabbit = rabbit
        self._store = store

    def look(self, at: float) -> Sample:
        beats = [last_beat(file) for file in self._pulses]
        return Sample(
            at=at,
            rss=tuple(rss(pid) for pid in self._pids),
            fds=tuple(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._pids),
            threads=tuple(beat["threads"] for beat in beats),
            tasks=tuple(beat["tasks"] for beat in beats),
            steps=sum(beat["steps"] for beat in beats),
            channels=self._lines("list_channels", "pid"),
            consumers=self._lines("list_consumers", "queue_name"),
            keys=self.keys(),
        )

    def keys(self) -> int:
        with redis.Redis.from_url(self._store.url) as client:
            return int(str(client.dbsize()))

    def log_on_disk(self) -> float:
        """MiB of what the quorum queues have on disk: their write-ahead log and their segments."""
        files = (file for file in self._rabbit.folder.glob("data/*/quorum/**/*") if file.is_file())
        return sum(file.stat().st_size for file in files) / MIB

    def _lines(self, command: str, column: str) -> int:
        told = self._rabbit.rabbitmqctl(command, "--no-table-headers", column)
        return sum(bool(line.strip()) for line in told.splitlines())


def rss(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / MIB


def last_beat(file: Path) -> dict[str, int]:
    """The last whole line."""
    lines = file.read_text().splitlines()
    beat: dict[str, int] = json.loads(lines[-1])
    return beat
