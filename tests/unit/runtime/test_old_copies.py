"""An old delivery is all that is left of a job while the copy that replaces it was never published."""

from __future__ import annotations

import pytest

from pavane import Retry
from pavane.core.topology import DELIVERY_LIMIT
from pavane.testing import Harness
from tests.unit.testing.shop import Placed, Reserved, orders, shop


@pytest.mark.parametrize("deaths", [1, DELIVERY_LIMIT + 1], ids=["redelivered", "given up by the broker"])
async def test_the_unpublished_retry_is_published_for_an_old_delivery_whoever_gets_it(deaths: int) -> None:
    """The process dies after it has recorded the failure, and then, each time, before it can look at the record."""
    async with Harness(shop().app) as harness:
        attempts: list[int] = []

        async def reserve(ctx: object, event: Placed) -> Reserved:
            attempts.append(len(attempts) + 1)
            if len(attempts) == 1:
                harness.crash("stock.reserve", after="fail")
                harness.crash("stock.reserve", after="receive", times=deaths)
                raise Retry("not yet", after=10)
            return Reserved(order=event.order, amount=event.amount)

        harness.replace("stock.reserve", reserve)
        run = await harness.start(orders, Placed(order="1"))
        await run.result()
        assert attempts == [1, 2]
