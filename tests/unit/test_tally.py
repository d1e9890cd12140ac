"""A full run fails when anything is left out, and its counts and exit code say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import run

ROOT = Path(__file__).resolve().parents[2]

# What a test file may do to leave a test out; put together so that a search for it does not find this file.
MARK = "pytest.mark"
LEAVING_OUT = {
    "skipped": f"@{MARK}.{'skip'}\ndef test_one(): pass\n",
    "skipped in the test": f"def test_one(): pytest.{'skip'}('no server')\n",
    "skipped module": f"pytest.{'skip'}('no server', allow_module_level=True)\ndef test_one(): pass\n",
    "xfailed": f"@{MARK}.{'xfail'}\ndef test_one(): assert False\n",
    "xpassed": f"@{MARK}.{'xfail'}(strict=False)\ndef test_one(): pass\n",
    "deselected": "def test_other(): pass\n",
}


def session(folder: Path, text: str, *options: str) -> tuple[int, dict[str, int], str]:
    """A pytest session over one file with the plug-in: exit code, counts, output."""
    (folder / "test_it.py").write_text("import pytest\ndef test_two(): pass\n" + text)
    tally = folder / "tally.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.tally", "--tally", str(tally), *options]
    command += ["-p", "no:cacheprovider", "--rootdir", str(folder), "-c", "/dev/null", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(tally.read_text()), done.stdout


@pytest.mark.parametrize(
    ("how", "processes"), [*((how, "0") for how in LEAVING_OUT), ("skipped", "2"), ("deselected", "2")]
)
def test_a_session_that_leaves_a_test_out_fails(tmp_path: Path, how: str, processes: str) -> None:
    options = ("-k", "two") if how == "deselected" else ()
    code, counts, output = session(tmp_path, LEAVING_OUT[how], "-n", processes, *options)
    kind = how.split()[0]
    assert code == 1, output
    assert counts[kind] == 1
    assert f"{kind}: " in output


def test_a_session_that_leaves_nothing_out_passes(tmp_path: Path) -> None:
    code, counts, _ = session(tmp_path, "def test_three(): pass\n")
    assert (code, counts) == (0, {"passed": 2})


def test_failures_and_errors_are_counted(tmp_path: Path) -> None:
    broken = "@pytest.fixture\ndef broken(): raise OSError\ndef test_four(broken): pass\n"
    text = f"def test_three(): assert False\n{broken}"
    code, counts, _ = session(tmp_path, text)
    assert (code, counts) == (1, {"passed": 1, "failed": 1, "errors": 1})


def write_parts(tests: Path, **parts: str) -> None:
    for name, text in parts.items():
        (tests / name).mkdir(parents=True)
        (tests / name / f"test_{name}.py").write_text(text)


def test_every_folder_with_tests_is_a_part(tmp_path: Path) -> None:
    write_parts(tmp_path, zoo="", unit="", integration="", docs="", chaos="")
    (tmp_path / "nothing").mkdir()
    assert run.parts(tmp_path) == ["unit", "docs", "zoo", "integration", "chaos"]


def test_a_part_that_runs_beside_the_others_is_told_and_counted_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    slow = "def test_one(): pass\ndef test_two(): assert 'slow' == 'quick'\n"
    write_parts(tmp_path, unit="def test_one(): pass\n", integration=slow)
    assert run.main(["unit", "integration"], tests=tmp_path) == 1
    said = capfd.readouterr().out
    assert "assert 'slow' == 'quick'" in said.split("=== integration\n")[1]
    lines = said.splitlines()
    assert [line.split()[:2] for line in lines[-4:-2]] == [["unit", "ok"], ["integration", "FAILED"]]
    assert lines[-1] == "2 passed, 1 failed; not all parts passed"


def test_a_run_adds_its_parts_up(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_parts(tmp_path, unit="def test_one(): pass\n", docs="def test_one(): pass\ndef test_two(): pass\n")
    assert run.main(["unit", "docs"], tests=tmp_path) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[-4:-2]] == [["unit", "ok"], ["docs", "ok"]]
    assert lines[-1] == "3 passed, 0 failed"


def test_a_part_that_fails_or_is_empty_fails_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_parts(tmp_path, unit="def test_one(): assert False\n", docs="", zoo="def test_one(): pass\n")
    assert run.main(["unit", "docs", "zoo"], tests=tmp_path) == 1
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[-5:-2]] == [
        ["unit", "FAILED"],
        ["docs", "FAILED"],
        ["zoo", "ok"],
    ]
    assert lines[-1] == "1 passed, 1 failed; not all parts passed"
