"""Rows that are published together: one that cannot be keeps the marks of no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from pavane.core.answers import Publication
from pavane.core.calls import Mark
from pavane.core.record import EventRow
from pavane.core.topology import Names
from pavane.ports.broker import Address, Broker, Message, ToSubscribers
from pavane.ports.store import Store
from pavane.runtime.outbox import Outbox
from pavane.runtime.subscriptions import Subscriptions


class OneRefused:
    """A broker that cannot send one of the events."""

    async def publish(self, message: Message, to: Address) -> None:
        if to == ToSubscribers("shop.bad"):
            raise ValueError("it cannot be written")


class Noted:
    """A store that keeps the marks."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    async def mark_all(self, calls: Sequence[Mark]) -> None:
        self.rows += [row for call in calls for row in call.rows]


class Nobody:
    framework = ()


def row(name: str) -> Publication:
    event = EventRow(id=f"id-{name}", name=name, version=1, time=0, payload=b"{}", producer="shop.one")
    return Publication(row=event.id, kind="event", record="shop:1", event=event)


async def test_a_row_that_cannot_be_published_keeps_the_marks_of_no_other() -> None:
    store = Noted()
    outbox = Outbox(
        cast("Store", store), cast("Broker", OneRefused()), cast("Subscriptions", Nobody()), Names("t")
    )
    with pytest.raises(ValueError, match="cannot be written"):
        await outbox.publish("shop:1", [row("shop.good"), row("shop.bad"), row("shop.fine")])
    await outbox.drain()
    assert store.rows == ["id-shop.good", "id-shop.fine"]
