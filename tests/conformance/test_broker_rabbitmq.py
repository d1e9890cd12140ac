"""The broker port's guarantees, on a real RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.ports.broker import Broker
from pavane.testing.conformance import BrokerConformance
from tests.servers import RabbitServer


class TestRabbitMQBroker(BrokerConformance):
    @pytest.fixture
    async def broker(self, rabbit: RabbitServer) -> AsyncIterator[Broker]:
        broker = RabbitMQBroker(rabbit.url, namespace=self.namespace)
        await broker.open()
        yield broker
        await broker.close()
