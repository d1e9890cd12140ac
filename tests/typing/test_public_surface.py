"""mypy and pyright, both strict and without plug-in, accept and refuse exactly the calls of this folder."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent

Findings = set[tuple[str, int]]


def mypy() -> Findings:
    """File and line of every error that mypy finds in the two files."""
    cache = ROOT / ".mypy_cache" / "public_surface"
    options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--explicit-package-bases"]
    answer = run(["mypy", *options, "accepted.py", "refused.py"])
    found = re.findall(r"^(.+?\.py):(\d+): error: ", answer, flags=re.MULTILINE)
    return {(Path(file).name, int(line)) for file, line in found}


def pyright() -> Findings:
    """As `mypy`; pyright reads its options from the file beside this one."""
    answer = json.loads(run(["pyright", "--outputjson", "--project", str(HERE)]))
    return {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in answer["generalDiagnostics"]
        if one["severity"] == "error"
    }


def run(command: list[str]) -> str:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=HERE, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_exactly_the_marked_calls_are_refused(checker: Callable[[], Findings]) -> None:
    lines = (HERE / "refused.py").read_text().splitlines()
    marked = {("refused.py", number) for number, line in enumerate(lines, 1) if line.endswith("# error")}
    found = checker()
    assert len(marked) > 40
    assert found == marked, f"accepted but marked: {marked - found}; refused but not marked: {found - marked}"


def test_what_is_accepted_can_be_run() -> None:
    names = runpy.run_path(str(HERE / "accepted.py"))
    workers = [one.full_name for one in names["inventory"].definitions]
    assert workers == ["typing_inventory.reserve", "typing_inventory.any_resources"]
