"""The kill-test as a part of `make test`: nothing is lost and nothing done twice, whoever dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.chaos.plan import FULL, KILLS
from tests.chaos.program import STOPPED_WITHIN, figures_of

LONGEST = 540.0
"""Seconds for one round on a busy machine; alone it takes two minutes, most of them waiting for leases."""

KNOWN = ("DATA", "ORDERS", "RATE", "LATENCY", "COUNT", "DECLINE", "REFUSE", "KILLS", "SERVERS", "JSON")


def kill_test(folder: Path, **variables: str) -> dict[str, Any]:
    """One round; its figures."""
    return figures_of("tests.chaos.kill_test", folder, variables, known=KNOWN, longest=LONGEST)


@pytest.mark.timeout(LONGEST + 2 * STOPPED_WITHIN)
@pytest.mark.fault("W2")
def test_no_order_is_lost_while_every_process_is_killed_ten_times(tmp_path: Path) -> None:
    figures = kill_test(tmp_path)

    assert figures["violations"] == []
    assert figures["ok"]
    assert figures["orders"] == FULL
    assert figures["kills"] == 5 * KILLS
    assert figures["kills_in_handlers"] >= 15
    assert figures["runs"]["total"] == FULL


@pytest.mark.timeout(LONGEST + 2 * STOPPED_WITHIN)
@pytest.mark.fault("B1", "R1")
def test_no_order_is_lost_when_the_broker_and_the_store_are_killed_too(tmp_path: Path) -> None:
    shares = {"DECLINE": "0.2", "REFUSE": "0.1"}
    figures = kill_test(tmp_path, SERVERS="1", COUNT="300", KILLS="3", **shares)

    assert figures["violations"] == []
    assert figures["ok"]
    assert figures["kills"] == 5 * 3
    assert sorted(figures["servers_killed"]) == ["rabbitmq", "redis"]
    assert figures["runs"]["total"] == 300
