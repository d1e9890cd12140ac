"""`python -m services.trips` as a person or a program calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import services.trips.__main__ as command
from pavane.client.run_document import RunDocument
from tests.services.agency import KINDS, violations
from tests.services.agency import read_books as read

ROOT = Path(__file__).resolve().parents[2]
LATE_ARRIVAL = ("trips.confirm_trip", "refused")
"""The row of a booking whose news reaches the join after the run has begun to fail."""


def travel(*options: str, **environment: str) -> tuple[int, str]:
    """The exit code and what was printed, by a process without servers."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.trips", *options],
        cwd=ROOT,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


def document_of(said: str) -> dict[str, Any]:
    return json.loads(said.splitlines()[-1])


def test_a_trip_is_confirmed() -> None:
    code, said = travel("--json")
    document = document_of(said)
    assert code == 0
    assert (document["run"]["status"], document["run"]["reason"]) == ("completed", "trip.confirmed")
    assert {step["worker"]: step["status"] for step in document["steps"]} == {
        "trips.book_flight": "committed",
        "trips.book_hotel": "committed",
        "trips.book_car": "committed",
        "trips.confirm_trip": "committed",
        "trips.tell_traveller": "committed",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_fails_is_what_was_asked_for_and_the_others_are_undone(kind: str) -> None:
    code, said = travel("--fail", kind, "--json")
    document = document_of(said)
    assert code == 0
    assert (document["run"]["status"], document["run"]["reason"]) == ("compensated", f"{kind}.unavailable")
    steps = [step for step in document["steps"] if (step["worker"], step["status"]) != LATE_ARRIVAL]
    statuses = {step["worker"]: step["status"] for step in steps}
    others = {f"trips.book_{other}": "undone" for other in KINDS if other != kind}
    assert statuses == others | {f"trips.book_{kind}": "committed", "trips.tell_traveller": "committed"}


def test_the_document_is_the_one_of_runs_show() -> None:
    document = document_of(travel("--fail", "hotel", "--json")[1])
    assert RunDocument.model_validate(document).model_dump(mode="json") == document


def test_a_person_sees_a_tree() -> None:
    code, said = travel("--fail", "hotel")
    assert code == 0
    assert "is compensated: hotel.unavailable" in said
    assert "trips.book_flight → flight.booked" in said
    assert "undone" in said


async def test_the_books_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    runs = [
        document_of(travel(*options, "--json", DATA=str(tmp_path))[1]) for options in ([], ["--fail", "car"])
    ]
    parsed = [RunDocument.model_validate(document).run for document in runs]
    assert violations(await read(), {run.run_id: run for run in parsed}) == []


def test_another_end_than_the_one_asked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENCY", "0.01")
    monkeypatch.setattr(command, "EVERYTHING", command.NOT_IN["car"])
    assert command.main([]) == 1
