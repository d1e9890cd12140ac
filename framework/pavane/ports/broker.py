"""What pavane needs of a message broker, and what it may rely on.

The port speaks of events, queues and delays, never of exchanges or bindings: how a
delay is kept or an event is routed is the adapter's own affair. An adapter is done
when `pavane.testing.conformance.BrokerConformance` passes.

Guarantees every adapter gives:

- *Durable*: a message for which `publish` returned is kept until a consumer acknowledges it,
  through restarts of the broker and of this process.
- *At least once*: a delivery that was not acknowledged when its subscription, its
  channel or its process ended is delivered again. Duplicates and reordering are normal.
- *Never early*: a delayed message is not delivered before its delay has passed.
- *Nothing falls through*: a message that no queue takes raises `Unroutable`; one that
  was delivered `delivery_limit` times without acknowledgement goes to the intake
  of its service, with the queue it came from, and is never dropped.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pavane.core.topology import Topology
from pavane.errors import BrokerUnavailable

HeaderValue = str | int | float | bool


class Unroutable(Exception):
    """No queue takes the message: nobody subscribes to the event, or the queue does not exist.

    Attributes:
        target: the event's name, or the queue's.
    """

    def __init__(self, target: str) -> None:
        super().__init__(f"no queue takes {target}")
        self.target = target


class Forbidden(BrokerUnavailable):
    """This process's user may not publish there; a process of the owning service has to.

    Attributes:
        target: the event's name, or the queue's.
    """

    code = BrokerUnavailable.code

    def __init__(self, target: str) -> None:
        super().__init__(
            f"this process's broker user may not publish to {target}",
            remedy="Give the user the right to (`pavane topology export --definitions` lists what each needs).",
        )
        self.target = target


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it travels.

    Attributes:
        body: the payload, opaque to the broker; an event's has at most `settings.max_body` bytes.
        headers: flat scalars; no name starts with `x-`.
        content_type: MIME type of the body.
        user: the broker user that published it, as the broker vouches for it; `None` on
            the way out (the adapter fills it in) and where the broker knows no users.
    """

    body: bytes
    headers: Mapping[str, HeaderValue] = field(default_factory=dict[str, HeaderValue])
    content_type: str | None = "application/json"
    user: str | None = None


@dataclass(frozen=True, slots=True)
class ToSubscribers:
    """To the queue of every worker that subscribes to the event."""

    event: str


@dataclass(frozen=True, slots=True)
class ToQueue:
    """To one queue, by its full name, after `delay` milliseconds (rounded up to 250 ms).

    With a delay it may go unnoticed that the queue does not exist; the message is then parked, not lost.
    A delay longer than the wheel's longest (`core.topology.LONGEST_DELAY`) is cut to it: the receiver's
    `begin` answers *not yet* and sends the job round again.
    """

    queue: str
    delay: int = 0


@dataclass(frozen=True, slots=True)
class ToDeadLetters:
    """To a dead-letter queue (or `parked`), by its full name. Only pavane publishes there."""

    queue: str


Address = ToSubscribers | ToQueue | ToDeadLetters


class Delivery(Protocol):
    """One message handed to a consumer, unsettled until `ack`."""

    @property
    def message(self) -> Message: ...

    @property
    def queue(self) -> str:
        """Full name of the queue it was consumed from."""
        ...

    @property
    def delivery_count(self) -> int:
        """How often it was delivered before and came back, as the broker counts (0 the first time)."""
        ...

    @property
    def source_queue(self) -> str | None:
        """For a message in the intake: the queue that the broker dead-lettered it from."""
        ...

    @property
    def problem(self) -> str | None:
        """Why the broker's adapter could not decode the message faithfully, or `None`.

        A hostile message (bad UTF-8 in a short string, a timestamp out of range, headers
        nested too deep, `CC`/`BCC`) is still delivered, with what could be read of it, so
        that the caller can dead-letter it.
        """
        ...

    def ack(self) -> None:
        """Settle it for good. Never raises and does not wait: an ack that is lost means a redelivery."""
        ...


class Subscription(Protocol):
    """A live consumer of one queue. It survives channel errors, reconnects and the queue's deletion."""

    @property
    def ready(self) -> bool:
        """Whether the consumer exists on the broker right now."""
        ...

    async def set_prefetch(self, prefetch: int) -> None:
        """Deliver at most `prefetch` unsettled messages from now on."""
        ...

    async def cancel(self) -> None:
        """Stop receiving. Deliveries already handed out can still be acknowledged."""
        ...

    async def close(self) -> None:
        """Cancel, then give back to the queue whatever was not acknowledged. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class QueueCount:
    """How full a queue is: `ready` messages waiting, `consumers` attached."""

    queue: str
    ready: int
    consumers: int


@dataclass(frozen=True, slots=True)
class TopologyChange:
    """One difference between the wanted and the present topology."""

    action: Literal["create", "bind", "unbind", "delete", "mismatch"]
    kind: Literal["queue", "exchange", "binding", "epoch", "registration"]
    name: str
    argument: str | None = None
    current: str | None = None
    wanted: str | None = None
    remedy: str = ""


class Broker(Protocol):
    """The broker as pavane uses it. See the module docstring for what every adapter guarantees."""

    @property
    def connected(self) -> bool:
        """Whether both directions work right now, as far as this process knows."""
        ...

    async def open(self) -> None:
        """Connect. Fails fast the first time.

        Raises:
            BrokerUnavailable: nothing answers, or the credentials are refused.
        """
        ...

    async def close(self) -> None:
        """Disconnect within a second or two, even inside a reconnect loop. Idempotent."""
        ...

    async def plan(self, topology: Topology) -> list[TopologyChange]:
        """What `declare` would do. Changes nothing."""
        ...

    async def declare(self, topology: Topology) -> list[TopologyChange]:
        """Bring queues, exchanges and bindings to what `topology` says; return what was done.

        Raises:
            TopologyMismatch: something exists with other arguments. It is left as it is.
        """
        ...

    async def unsubscribe(self, queue: str, event: str) -> None:
        """Let `event` go to `queue` no longer. Harmless if it does not.

        Raises:
            BrokerUnavailable: no answer, or not permitted.
        """
        ...

    async def known_events(self, events: Sequence[str]) -> list[bool]:
        """Whether each of these events has been declared, in order."""
        ...

    async def remove_event(self, event: str) -> bool:
        """Take back what was declared for an event, unless it goes to some queue; whether it is gone.

        Raises:
            BrokerUnavailable: no answer, or not permitted.
        """
        ...

    async def remove(self, queue: str, events: Sequence[str] = ()) -> QueueCount | None:
        """Delete a queue that is empty and that nobody consumes.

        Everything that leads to it is cut first, so nothing can come in between the look and the deletion; if
        it is not deleted, all is led to it again.

        Args:
            events: what it subscribes to.

        Returns:
            `None` if it is gone (or was not there), else what is in the way.

        Raises:
            BrokerUnavailable: no answer, or not permitted. What was cut may stay cut: call again.
        """
        ...

    def migrate(
        self, queue: str, topology: Topology, events: Sequence[str] = ()
    ) -> AsyncGenerator[TopologyChange | QueueCount]:
        """Replace a queue that has other arguments than `topology` wants by one that has them, as it is in use.

        Nothing is lost: what is in the queue and what comes meanwhile is in the new one in the end, unchanged,
        what waited in its order; some of it perhaps twice if this is ended on the way. Subscriptions go on, and
        what they have in hand can be acknowledged. Ended anywhere, killed included, it is carried on by calling
        again; messages may wait until then. If the queue is as it is wanted, nothing is done.

        Args:
            events: what the queue may be subscribed to besides, by an earlier version: it stays.

        Yields:
            First a count, before anything is changed and when nobody else can be at it; then each change after it
            was made, and a count at each look that finds that something has to be waited for.

        Raises:
            UsageError: no queue of the topology that holds jobs or letters.
            TopologyMismatch: somebody else is at it, there is none, or it cannot be replaced.
            Overloaded: there is more in it than the wanted one may hold.
            BrokerUnavailable: no answer, or not permitted.
        """
        ...

    async def publish(self, message: Message, to: Address) -> None:
        """Publish and wait until the broker has confirmed that it keeps the message.

        Many calls may be in flight at once. After any other error than `Unroutable`, `Forbidden`, `Overloaded`
        and `TooLarge` the outcome is unknown: the message may still arrive, so publish it again.

        Raises:
            Unroutable: no queue takes it.
            Forbidden: the broker refuses it to this user. Until the next connection it is not asked again.
            Overloaded: the queue refuses it (full).
            TooLarge: an event over the limit. Letters and copies are taken whatever their size: what a
                stranger has sent must be possible to set aside.
            BrokerUnavailable: no confirm within `settings.publish_timeout`.
        """
        ...

    async def consume(
        self, queue: str, *, prefetch: int, receive: Callable[[Delivery], None]
    ) -> Subscription:
        """Deliver messages of `queue` to `receive`, at most `prefetch` unsettled at a time.

        `receive` is called on the event loop, must not block and must not raise. Each
        subscription has its own channel: one that fails takes no other with it.

        Raises:
            BrokerUnavailable: the consumer could not be created.
        """
        ...

    async def get(self, queue: str) -> Delivery | None:
        """Take one message from `queue` without subscribing, or `None` if it is empty.

        The delivery must be acknowledged; one left unsettled comes back with `give_back`, or when the broker
        closes.
        """
        ...

    async def take(self, queue: str, limit: int) -> Sequence[Delivery]:
        """Take up to `limit` messages, in their order, without subscribing; fewer only if there are no more now.

        As with `get`, each must be acknowledged. No message beside those taken counts a delivery.
        """
        ...

    async def give_back(self) -> None:
        """Return to the front of their queues what `get` and `take` have taken and nobody has acknowledged."""
        ...

    async def count(self, queues: Sequence[str]) -> list[QueueCount | None]:
        """How full each queue is, in order; `None` for one that does not exist."""
        ...
