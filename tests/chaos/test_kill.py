"""The kill-test as a part of `make test`: nothing is lost and nothing done twice, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.plan import FULL, KILLS

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 540.0
"""Seconds for one round on a busy machine; alone it takes two minutes, most of them waiting for leases."""

STOPPED_WITHIN = 30.0


def kill_test(folder: Path, **variables: str) -> dict[str, Any]:
    """Play a round in a process of its own; the figures."""
    own = ("DATA", "ORDERS", "RATE", "LATENCY", "COUNT", "DECLINE", "REFUSE", "KILLS", "SERVERS", "JSON")
    inherited = {name: value for name, value in os.environ.items() if name not in own}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.kill_test"],
        cwd=ROOT,
        env=inherited | {"JSON": "1", "DATA": str(folder)} | variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        told, _ = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # it ends its servers and services itself
        told, _ = process.communicate(timeout=STOPPED_WITHIN)
        pytest.fail(f"not over within {LONGEST:g} s:\n{told}")
    print(told)  # with the seed
    figures = json.loads(told.splitlines()[-1])
    assert process.returncode == (0 if figures["ok"] else 1)
    return figures


@pytest.mark.timeout(LONGEST + 60)
@pytest.mark.fault("W2")
def test_no_order_is_lost_while_every_process_is_killed_ten_times(tmp_path: Path) -> None:
    figures = kill_test(tmp_path)

    assert figures["violations"] == []
    assert figures["ok"]
    assert figures["orders"] == FULL
    assert figures["kills"] == 5 * KILLS
    assert figures["kills_in_handlers"] >= 15
    assert figures["runs"]["total"] == FULL


@pytest.mark.timeout(LONGEST + 60)
@pytest.mark.fault("B1", "R1")
def test_no_order_is_lost_when_the_broker_and_the_store_are_killed_too(tmp_path: Path) -> None:
    shares = {"DECLINE": "0.2", "REFUSE": "0.1"}
    figures = kill_test(tmp_path, SERVERS="1", COUNT="300", KILLS="3", **shares)

    assert figures["violations"] == []
    assert figures["ok"]
    assert figures["kills"] == 5 * 3
    assert sorted(figures["servers_killed"]) == ["rabbitmq", "redis"]
    assert figures["runs"]["total"] == 300
