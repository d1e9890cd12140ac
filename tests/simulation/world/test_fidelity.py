"""Nothing is assumed of a real server that no test shows of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.simulation.world.chances import PLACES
from tests.simulation.world.fidelity import ASSUMED, Assumption
from tests.simulation.world.outcome import AS_IT_IS
from tests.simulation.world.world import World

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("assumption", ASSUMED, ids=lambda one: one.what)
def test_what_is_assumed_is_shown_of_the_real_thing(assumption: Assumption) -> None:
    assert assumption.shown
    for file, name in assumption.shown:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert any(isinstance(node, functions) and node.name == name for node in ast.walk(tree)), (file, name)


def test_every_sin_stands_on_an_assumption() -> None:
    sins = [sin for assumption in ASSUMED for sin in assumption.sins]
    assert len(sins) == len(set(sins))
    assert {*PLACES, *World(1, AS_IT_IS).nemesis.ways, "swizzle", "crash"} == set(sins)
