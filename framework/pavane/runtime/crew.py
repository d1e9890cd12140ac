"""What the workers of one process share."""

from __future__ import annotations

import itertools
import os
import secrets
import socket
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from pavane.ports.broker import Broker
from pavane.ports.clock import Clock
from pavane.ports.store import Store
from pavane.runtime.catalog import Catalog
from pavane.runtime.crash_points import Passed, pass_by
from pavane.runtime.isolation import Isolation
from pavane.runtime.outbox import Outbox
from pavane.runtime.patience import Patience
from pavane.runtime.subscriptions import Subscriptions
from pavane.runtime.watchdog import Watch
from pavane.settings import Settings

if TYPE_CHECKING:
    from pavane.runtime.attempt import Attempt


def process_name() -> str:
    """Who holds a lease, for people: `<host>:<process id>`."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(slots=True, kw_only=True)
class Crew:
    """Everything a worker needs beside its own definition.

    Attributes:
        passed: called at every crash point.
        nonce: makes this process's begin-ids its own.
        stopping: the process is asked to stop; nothing new begins.
        attempts: the handlers that run now.
    """

    settings: Settings
    store: Store
    broker: Broker
    clock: Clock
    random: Random
    catalog: Catalog
    subscriptions: Subscriptions
    patience: Patience
    outbox: Outbox
    watchdog: Watch
    isolation: Isolation = field(default_factory=Isolation)
    passed: Passed = pass_by
    host: str = field(default_factory=process_name)
    nonce: str = field(default_factory=lambda: secrets.token_hex(4))
    stopping: bool = False
    attempts: set[Attempt] = field(default_factory=set["Attempt"])
    _serial: itertools.count[int] = field(default_factory=itertools.count)

    def begin_id(self) -> str:
        """A name for one delivery's begin, never used twice."""
        return f"{self.nonce}-{next(self._serial)}"
