"""What a proxy does to what passes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random


@dataclass
class Faults:
    """Set these while connections stand: what passes next is treated so. Assigning is safe from any thread.

    Attributes:
        latency, jitter: seconds that everything is late, each way, and up to how many more. Order is kept.
        bytes_per_second: each way of each connection; `None`: as fast as it goes.
        piece: bytes that go out at a time, each in a packet of its own; `None`: as they come.
        lose_confirms: confirms of RabbitMQ to publishers are dropped. (A later one that says "and all before"
            still confirms them, as with a real broker.)
        delay_deliveries: seconds that each message to a consumer is held; what comes later may overtake it.
        repeat_deliveries: share of the messages to consumers that arrive a second time, under a tag of their own.
        repeat_after: seconds between the two.
        lose_replies: the connection is reset instead of passing on the reply to one of these commands of Redis,
            which has executed it; for FCALL the name of the function, in lower case. `*` means any command.
        replies_to_lose: how many such replies; `None`: all.
        did: what was done, by kind.
    """

    latency: float = 0.0
    jitter: float = 0.0
    bytes_per_second: float | None = None
    piece: int | None = None
    lose_confirms: bool = False
    delay_deliveries: float = 0.0
    repeat_deliveries: float = 0.0
    repeat_after: float = 0.0
    lose_replies: frozenset[str] = frozenset()
    replies_to_lose: int | None = None
    did: Counter[str] = field(default_factory=Counter[str])
    random: Random = field(default_factory=Random)

    def loses_reply_to(self, command: str) -> bool:
        """Whether the reply to this command is one of those that are lost; counts it."""
        if not self.lose_replies & {command, "*"} or self.replies_to_lose == 0:
            return False
        if self.replies_to_lose is not None:
            self.replies_to_lose -= 1
        self.did["reply lost"] += 1
        return True

    def repeats(self) -> bool:
        """Whether this delivery arrives twice; counts it."""
        if self.repeat_deliveries <= self.random.random():
            return False
        self.did["delivery repeated"] += 1
        return True

    def heal(self) -> None:
        """Do nothing to what passes from now on."""
        self.latency = self.jitter = self.delay_deliveries = 0.0
        self.repeat_deliveries = self.repeat_after = 0.0
        self.bytes_per_second = self.piece = self.replies_to_lose = None
        self.lose_confirms = False
        self.lose_replies = frozenset()
