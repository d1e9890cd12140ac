"""A short storm as a part of `make test`; `make chaos` plays longer ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.demo.options import BadOptions
from tests.chaos.storm.faults import FAULTS
from tests.chaos.storm.plan import KINDS, ONCE, Plan

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400.0
"""Seconds on a busy machine; alone it takes a minute, more than half of it to start and to come to rest."""

STOPPED_WITHIN = 60.0


def storm(folder: Path, **variables: str) -> dict[str, Any]:
    """Play one in a process of its own; the figures."""
    own = ("MINUTES", "SEED", "RATE", "WORKERS", "MODE", "DATA", "JSON")
    inherited = {name: value for name, value in os.environ.items() if name not in own}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.storm"],
        cwd=ROOT,
        env=inherited | {"JSON": "1", "DATA": str(folder)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        told, _ = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # it ends its servers and processes itself
        told, _ = process.communicate(timeout=STOPPED_WITHIN)
        pytest.fail(f"not over within {LONGEST:g} s:\n{told}")
    print(told)  # with the seed
    figures: dict[str, Any] = json.loads(told.splitlines()[-1])
    assert process.returncode == (0 if figures["ok"] else 1)
    return figures


@pytest.mark.timeout(LONGEST + 2 * STOPPED_WITHIN)
def test_nothing_is_violated_in_a_short_storm(tmp_path: Path) -> None:
    figures = storm(tmp_path, MINUTES="0.4")

    assert figures["violations"] == []
    assert figures["runs"]["checked"] >= 100
    assert sum(figures["faults"].values()) >= 3
    assert figures["faults"][ONCE] == 1


def test_the_seed_makes_the_faults_and_each_kind_has_its_turn() -> None:
    plan, same, other = Plan(seed=5), Plan(seed=5), Plan(seed=6)
    assert plan.strikes() == same.strikes()
    assert plan.strikes() != other.strikes()
    for seed in range(50):
        kinds = [strike.kind for strike in Plan(seed=seed).strikes()]
        assert set(kinds) == set(KINDS) == set(FAULTS), seed
        assert kinds.count(ONCE) == 1
        assert 20 <= len(kinds) <= 60, seed


def test_the_environment_is_read_and_what_cannot_be_meant_is_refused() -> None:
    plan = Plan.read({"MINUTES": "0.5", "SEED": "7", "RATE": "10", "JSON": "1"})
    assert (plan.minutes, plan.seed, plan.starts, plan.json, plan.longest) == (0.5, 7, 300, True, 5.0)
    for wrong in ({"MINUTES": "long"}, {"MODE": "breeze"}):
        with pytest.raises(BadOptions, match=next(iter(wrong))):
            Plan.read(wrong)
