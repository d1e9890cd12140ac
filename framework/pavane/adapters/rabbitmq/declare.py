"""Asking RabbitMQ what exists, and declaring what does not.

AMQP can ask whether a queue exists (a passive declaration), not with which arguments. A declaration with
our arguments answers that: it changes nothing if they are the same and is refused (406) if not. Each
refusal closes the channel, so a probe opens another. Bindings cannot be asked for at all: they are declared
again, which is harmless, and a plan names those of queues and exchanges that it would create.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from aiormq.channel import Channel
from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

from pavane.adapters.rabbitmq.border import border
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.topology import Binding, Declarations, Exchange, Queue
from pavane.core.migration import is_movable
from pavane.errors import TopologyMismatch
from pavane.ports.broker import QueueCount, TopologyChange

log = logging.getLogger(__name__)

REPLY_TIMEOUT = 30.0
"""Seconds for one declaration. A quorum queue is created by an election, slow while many start together."""

PROBES = 4
"""Channels that ask at the same time."""

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for .*?: received (?P<wanted>.+?) but current is (?P<current>.+)"
)
_TYPED = re.compile(r"the value '(?P<value>.*)' of type '[^']*'")

Asset = Queue | Exchange
Probe = Callable[["_Channel", Asset], Awaitable[TopologyChange | None]]


async def plan(link: Link, wanted: Declarations) -> list[TopologyChange]:
    """What `declare` would do, mismatches included. Changes nothing."""
    found = await _probe_all(link, [*wanted.exchanges, *wanted.queues, wanted.mark], _compare)
    created = {change.name for change in found if change.action == "create"}
    return [
        *found,
        *(_bound(binding) for binding in wanted.bindings if created & {binding.source, binding.target}),
    ]


async def declare(link: Link, wanted: Declarations) -> list[TopologyChange]:
    """Create what is missing and bind everything; answers what was done.

    Raises:
        TopologyMismatch: something exists with other arguments. Nothing was changed at all.
    """
    changes = await plan(link, wanted)
    mismatches = [change for change in changes if change.action == "mismatch"]
    if mismatches:
        raise TopologyMismatch(
            "; ".join(_explained(mismatch) for mismatch in mismatches), remedy=mismatches[0].remedy
        )
    missing = {change.name for change in changes if change.action == "create"}
    # Exchanges before the queues that dead-letter to them, both before what binds them, the mark at the end.
    await _probe_all(link, [asset for asset in wanted.exchanges if asset.name in missing], _create)
    await _probe_all(link, [asset for asset in wanted.queues if asset.name in missing], _create)
    await bind(link, wanted.bindings)
    await _probe_all(link, [wanted.mark], _create)
    return changes


async def restore(link: Link, wanted: Declarations) -> None:
    """Declare and bind without asking first: for what is known to have existed and to be gone.

    Raises:
        BrokerUnavailable: refused or lost.
    """
    await _probe_all(link, wanted.exchanges, _create)
    await _probe_all(link, wanted.queues, _create)
    await bind(link, wanted.bindings)


async def exists(link: Link, exchange: str) -> bool:
    """Whether there is such an exchange."""
    async with _Channel(link) as asking:
        with border(f"asking for exchange {exchange}"):
            try:
                await asking.declare(Exchange(exchange, "fanout"), passive=True)
            except ChannelNotFoundEntity:
                return False
    return True


async def compare(link: Link, queue: Queue) -> TopologyChange | None:
    """Whether a queue is missing or differs; `None` if it is as it should be."""
    found = await _probe_all(link, [queue], _compare)
    return found[0] if found else None


async def count_of(link: Link, queue: str) -> QueueCount | None:
    """How full a queue is; `None` if it does not exist."""
    async with _Channel(link) as asking:
        channel = await asking.open()
        with border(f"counting {queue}"):
            try:
                told = await channel.queue_declare(queue, passive=True, timeout=REPLY_TIMEOUT)
            except ChannelNotFoundEntity:
                return None
    return QueueCount(queue, told.message_count or 0, told.consumer_count or 0)


async def bind(link: Link, bindings: Sequence[Binding]) -> None:
    """Bind, whether it is bound or not."""
    async with _Channel(link) as asking:
        channel = await asking.open()
        for binding in bindings:
            with border(f"binding {binding.target} to {binding.source}"):
                if binding.kind == "queue":
                    await channel.queue_bind(
                        binding.target, binding.source, binding.key, timeout=REPLY_TIMEOUT
                    )
                else:
                    await channel.exchange_bind(
                        binding.target, binding.source, binding.key, timeout=REPLY_TIMEOUT
                    )


async def unbind(link: Link, bindings: Sequence[Binding]) -> None:
    """Unbind queues, whether they are bound or not."""
    async with _Channel(link) as asking:
        for binding in bindings:
            channel = await asking.open()
            with border(f"unbinding {binding.target} from {binding.source}"):
                await channel.queue_unbind(binding.target, binding.source, binding.key, timeout=REPLY_TIMEOUT)


async def delete(link: Link, queue: str) -> None:
    """Delete a queue that was found empty and unused: quorum queues refuse to look for themselves."""
    async with _Channel(link) as asking:
        channel = await asking.open()
        with border(f"deleting {queue}"):
            told = await channel.queue_delete(queue, timeout=REPLY_TIMEOUT)
    if told.message_count:
        log.error(
            "%s was empty and was deleted with %d messages that came meanwhile", queue, told.message_count
        )


async def delete_exchange(link: Link, exchange: str) -> bool:
    """Delete an exchange unless it leads to something; whether it is gone."""
    async with _Channel(link) as asking:
        channel = await asking.open()
        with border(f"deleting exchange {exchange}"):
            try:
                await channel.exchange_delete(exchange, if_unused=True, timeout=REPLY_TIMEOUT)
            except ChannelPreconditionFailed:
                return False
    return True


class _Channel:
    """A channel for asking, replaced when a refusal has closed it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Channel | None = None

    async def __aenter__(self) -> _Channel:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel and not self._channel.is_closed:
            with border("closing a channel"):
                await self._channel.close(timeout=REPLY_TIMEOUT)

    async def open(self) -> Channel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._link.channel()
        return self._channel

    async def declare(self, asset: Asset, *, passive: bool) -> None:
        channel = await self.open()
        if isinstance(asset, Queue):
            await channel.queue_declare(
                asset.name,
                passive=passive,
                durable=True,
                arguments=dict(asset.arguments),
                timeout=REPLY_TIMEOUT,
            )
        else:
            await channel.exchange_declare(
                asset.name,
                exchange_type=asset.type,
                passive=passive,
                durable=True,
                arguments={"alternate-exchange": asset.alternate} if asset.alternate else None,
                timeout=REPLY_TIMEOUT,
            )


async def _probe_all(link: Link, assets: Sequence[Asset], probe: Probe) -> list[TopologyChange]:
    """`probe` each asset on a few channels; what they found, in the order of `assets`."""
    found: dict[int, TopologyChange] = {}
    left = iter(enumerate(assets))

    async def work() -> None:
        async with _Channel(link) as channel:
            for index, asset in left:
                change = await probe(channel, asset)
                if change:
                    found[index] = change

    workers = [asyncio.create_task(work()) for _ in range(min(PROBES, len(assets)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return [found[index] for index in sorted(found)]


async def _compare(channel: _Channel, asset: Asset) -> TopologyChange | None:
    kind = _kind(asset)
    with border(f"asking for {kind} {asset.name}"):
        try:
            await channel.declare(asset, passive=True)
        except ChannelNotFoundEntity:
            return TopologyChange("create", kind, asset.name)
        try:
            await channel.declare(asset, passive=False)
        except ChannelPreconditionFailed as refusal:
            return _mismatch(asset, str(refusal))
    return None


async def _create(channel: _Channel, asset: Asset) -> TopologyChange | None:
    with border(f"declaring {_kind(asset)} {asset.name}"):
        try:
            await channel.declare(asset, passive=False)
        except ChannelPreconditionFailed as refusal:
            change = _mismatch(asset, str(refusal))
            raise TopologyMismatch(_explained(change), remedy=change.remedy) from None
    return None


def _kind(asset: Asset) -> Literal["queue", "exchange"]:
    return "queue" if isinstance(asset, Queue) else "exchange"


def _bound(binding: Binding) -> TopologyChange:
    return TopologyChange("bind", "binding", f"{binding.source} -> {binding.target}", wanted=binding.key)


def _mismatch(asset: Asset, refusal: str) -> TopologyChange:
    """RabbitMQ names the first argument that differs, and both values."""
    told = _INEQUIVALENT.search(refusal)
    kind = _kind(asset)
    return TopologyChange(
        "mismatch",
        kind,
        asset.name,
        argument=told["argument"] if told else None,
        current=_plain(told["current"]) if told else refusal,
        wanted=_plain(told["wanted"]) if told else None,
        remedy=_remedy(asset),
    )


def _remedy(asset: Asset) -> str:
    if isinstance(asset, Queue) and is_movable(asset.name):
        return (
            "Arguments cannot be changed, but the queue can be replaced while it is in use: "
            f"`pavane topology migrate {asset.name}`."
        )
    return (
        f"Arguments cannot be changed. Stop what uses the {_kind(asset)}"
        + (", let it run empty" if isinstance(asset, Queue) else "")
        + f", delete it, then run `pavane topology apply` again ({_deletion(asset)})."
    )


def _deletion(asset: Asset) -> str:
    if isinstance(asset, Queue):
        return f"`rabbitmqctl delete_queue {asset.name}`"
    return f"`rabbitmqadmin delete exchange name={asset.name}`"


def _plain(value: str) -> str:
    typed = _TYPED.search(value)
    return typed["value"] if typed else value.strip().strip("'")


def _explained(change: TopologyChange) -> str:
    if change.argument is None:
        return f"{change.kind} {change.name} exists and differs: {change.current}"
    return f"{change.kind} {change.name} has {change.argument} {change.current}, wanted is {change.wanted}"
