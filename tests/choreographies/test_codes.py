"""Each file of this folder is found to be wrong in the one way it is named after, at the line it marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pavane.core.choreography_findings import CODES
from tests.integration.cli_runner import Pavane

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
MARK = "# found here"
SUBJECTS = {
    "schema_mismatch": "parcel.weighed",
    "undeclared_event": "post.deliver",
    "endless_workflow": "parcels",
    "unfillable_join": "post.compare",
    "unreachable_worker": "post.search",
    "orphan_event": "parcel.weighed",
    "missing_undo": "post.take_money",
    "cycle_without_timer": "post.deliver",
    "retry_exceeds_deadline": "post.deliver",
    "lease_exceeds_consumer_timeout": "post.deliver",
    "default_timeout": "post.deliver",
}


def marked(code: str) -> tuple[str, int]:
    """The file and the line that the finding has to point to."""
    files = sorted((FOLDER / code).glob("*.py")) if (FOLDER / code).is_dir() else [FOLDER / f"{code}.py"]
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if line.endswith(MARK):
                return str(file.relative_to(ROOT)), number
    raise AssertionError(f"nothing is marked for {code}")


def found(code: str) -> list[dict[str, Any]]:
    """What `pavane check --strict --json` says of the file, or of the folder, that is named after the code."""
    folder = FOLDER / code
    given = str(folder.relative_to(ROOT)) if folder.is_dir() else f"tests.choreographies.{code}:app"
    document = Pavane.on().json("check", given, "--strict", code=1)
    assert document["ok"] is False
    findings: list[dict[str, Any]] = document["findings"]
    return findings


def test_there_is_a_file_for_every_code() -> None:
    here = {path.stem for path in FOLDER.iterdir() if path.name != "__pycache__" and path.stem != "__init__"}
    assert {name for name in here if not name.startswith("test_")} == set(CODES) == set(SUBJECTS)


@pytest.mark.parametrize("code", CODES)
def test_a_file_is_found_wrong_in_its_one_way_at_its_marked_line(code: str) -> None:
    [finding] = found(code)
    assert set(finding) == {
        "code", "severity", "subject", "message", "file", "line", "remedy", "allowed",
    }  # fmt: skip
    assert (finding["code"], finding["subject"]) == (code, SUBJECTS[code])
    assert (finding["file"], finding["line"]) == marked(code)
    assert finding["message"]
    assert finding["remedy"]
    assert finding["allowed"] is None
