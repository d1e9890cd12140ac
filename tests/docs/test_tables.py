"""The tables of the operations page name every setting, error, check, dead-letter reason and exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest

from pavane import Settings
from pavane.cli import exits
from pavane.cli.findings import NAMES
from pavane.client import LetterNotFound
from pavane.core.choreography_findings import CODES
from pavane.errors import PavaneError
from pavane.model.views import Status as RunStatusName
from pavane.model.views import StepStatus
from pavane.runtime.crash_points import POINTS
from tests.docs.pages import ROOT

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the tables under a heading."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def errors(kind: type[PavaneError] = PavaneError) -> Iterator[type[PavaneError]]:
    for one in kind.__subclasses__():
        if one.__module__.startswith("pavane."):
            yield one
            yield from errors(one)


def test_every_setting_is_listed_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {codes(cells[0])[0]: cells[1] for cells in rows(OPERATIONS, "Settings") if codes(cells[0])}
    assert set(listed) == {f"PAVANE_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        said = listed[f"PAVANE_{name.upper()}"]
        if name == "actor":
            assert said == "the user"
        else:
            assert said == ("–" if field.default is None else f"`{field.default}`"), name


def test_every_error_is_listed() -> None:
    listed = {code for cells in rows(OPERATIONS, "Errors") for code in codes(cells[0])}
    groups = {"run_error", "message_error", "infrastructure_error"}  # nobody sees these three by themselves
    assert LetterNotFound in set(errors())
    assert listed == {error.code for error in errors()} - groups


def test_every_check_of_doctor_is_listed() -> None:
    assert {code for cells in rows(OPERATIONS, "doctor") for code in codes(cells[0])} == set(NAMES)


def test_every_code_of_check_is_listed() -> None:
    assert [code for cells in rows(OPERATIONS, "check")[1:] for code in codes(cells[0])] == list(CODES)


def test_every_exit_code_is_listed() -> None:
    said = OPERATIONS.split("Exit codes: ")[1].split("\n\n")[0]
    known = (exits.DONE, exits.NO, exits.USAGE, exits.NOT_FOUND, exits.UNREACHABLE, exits.REFUSED)
    for code in (*known, exits.TIMED_OUT):
        assert re.search(rf"\b{code} ", said), code


def test_every_crash_point_is_in_the_table() -> None:
    table = rows(PROTOCOL, "Where a process may die")
    assert {code for cells in table[1:] for code in codes(cells[0])} == set(POINTS)


def test_the_concepts_know_every_phase_and_step_state() -> None:
    concepts = (ROOT / "docs" / "concepts.md").read_text()
    for word in (*get_args(RunStatusName), *get_args(StepStatus)):
        assert f"`{word}`" in concepts, word
