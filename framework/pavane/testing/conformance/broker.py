"""The suite that says when a broker adapter is done. Each test is one sentence of the port's docstrings."""

from __future__ import annotations

import pytest

from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Broker
from pavane.testing.conformance.broker_consuming import Consuming
from pavane.testing.conformance.broker_delays import Delaying
from pavane.testing.conformance.broker_migrating import Migrating
from pavane.testing.conformance.broker_publishing import Publishing
from pavane.testing.conformance.broker_stage import Inbox, Stage
from pavane.testing.conformance.broker_topology import Declaring


class BrokerConformance(Publishing, Delaying, Consuming, Declaring, Migrating):
    """Subclass it, and define an async fixture `broker` that yields an opened `Broker` for `namespace`.

    The suite declares what it needs and never removes it: give it a broker of its own. An adapter on another
    clock than the machine's overrides `now` and `pass_time`; one with another limit for bodies `max_body`.
    """

    async def test_a_closed_broker_does_nothing_and_an_opened_one_has_everything(
        self, broker: Broker
    ) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        subscription = await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        await stage.emit(b"1", b"2")
        await inbox.holds(1)
        assert (broker.connected, subscription.ready) == (True, True)
        await broker.close()
        await broker.close()
        assert (broker.connected, subscription.ready) == (False, False)
        with pytest.raises(BrokerUnavailable):
            await stage.emit(b"3")
        with pytest.raises(BrokerUnavailable):
            await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        await broker.open()
        await stage.until_ready(stage.first, 2)
