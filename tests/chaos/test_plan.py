"""What the kill-test makes of its variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.demo.options import BadOptions
from tests.chaos.goods import goods_of
from tests.chaos.plan import Plan


def test_shares_are_of_generated_orders_and_the_seed_makes_them() -> None:
    asked = {"DECLINE": "0.2", "REFUSE": "0.1", "SEED": "5", "COUNT": "200"}
    first, again = (goods_of(Plan.read(asked).options) for _ in range(2))
    assert first.source == "generated with SEED=5"
    assert list(first.wares.orders) == list(again.wares.orders)
    declined = sum(order.value > 2000 for order in first.known.values())
    refused = sum(order.freight > 50 for order in first.known.values())
    assert (20 < declined < 60, 5 < refused < 40) == (True, True)


def test_the_orders_of_a_folder_have_no_shares(tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="DECLINE"):
        Plan.read({"ORDERS": str(tmp_path), "DECLINE": "0.2"})
