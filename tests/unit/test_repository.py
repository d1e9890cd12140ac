"""Rules of the repository that no linter knows: sizes, names, nothing unfinished, nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("framework/", "contracts/", "services/")
MAX_FILE, MAX_FUNCTION = 400, 60  # lines; most files have 60 to 250
SAYS_NOTHING = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}

# Each is written so that this file does not match it.
UNFINISHED = re.compile(r"\b(TO{1}DO|FIX{1}ME|X{3}|HA{1}CK)\b|raise NotImplemente[d]Error")
REGISTRIES = re.compile(r"\b(py[p]i|files\.python[h]osted|registry\.n[p]mjs|deb\.[d]ebian)\.(org|com|net)\b")
SWALLOWED = re.compile(r"except[^\n]*:\s*\n\s*(pass|\.{3})\s*\n")


def files(suffix: str = "") -> list[str]:
    """The files that are or would be committed, as paths from the checkout."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if name.endswith(suffix) and (ROOT / name).is_file()]


def shipped() -> list[str]:
    return [name for name in files(".py") if name.startswith(SHIPPED)]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def matches(pattern: re.Pattern[str], names: list[str]) -> list[str]:
    """`file:line: text` of each match."""
    found = []
    for name in names:
        text = read(name)
        for match in pattern.finditer(text):
            found.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group().strip()}")
    return found


def functions(name: str) -> Iterator[tuple[str, int]]:
    """Each function of a file with its number of lines."""
    for node in ast.walk(ast.parse(read(name))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_the_rules_look_at_something() -> None:
    assert "framework/pavane/__init__.py" in shipped()
    assert "Makefile" in files()


def test_no_file_is_too_long_to_be_about_one_thing() -> None:
    long = {name: lines for name in shipped() if (lines := read(name).count("\n")) > MAX_FILE}
    assert not long, f"split what has become two things (at most {MAX_FILE} lines)"


def test_every_function_can_be_read_at_a_glance() -> None:
    long = {where: lines for name in shipped() for where, lines in functions(name) if lines > MAX_FUNCTION}
    assert not long, f"let it read as a table of contents (at most {MAX_FUNCTION} lines)"


def test_names_say_what_a_module_is() -> None:
    vague = [name for name in shipped() if SAYS_NOTHING & {Path(name).stem, *Path(name).parts[:-1]}]
    assert not vague, "name it for what it does"


def test_nothing_is_marked_unfinished() -> None:
    assert not matches(UNFINISHED, files(".py")), "finish it, or open an issue"


def test_no_error_is_swallowed() -> None:
    assert not matches(SWALLOWED, files(".py")), (
        "say with contextlib.suppress, and a comment, why it does not matter"
    )


def test_no_file_names_a_package_registry() -> None:
    assert not matches(REGISTRIES, files()), "where packages come from is the installing machine's business"


def test_no_file_holds_a_path_of_this_machine() -> None:
    places = {str(ROOT), str(Path.home())} - {"/"}
    pattern = re.compile("|".join(rf"(?<![\w/.]){re.escape(place)}/\w" for place in sorted(places)))
    assert not matches(pattern, files()), "use a path from the checkout"


def test_the_constraints_are_exact_and_cover_every_requirement() -> None:
    pins = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
    loose = [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[\w.!+]+", pin)]
    assert not loose, "one plain name==version per line"
    project = tomllib.loads(read("pyproject.toml"))["project"]
    wanted = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    named = {re.split(r"[\[<>=!~ ;]", requirement)[0].lower() for requirement in wanted}
    assert named <= {pin.split("==")[0].lower() for pin in pins}, "pin it in constraints.txt"


@pytest.mark.parametrize("target", ["help", "setup", "demo", "test", "check", "bench", "kill-test"])
def test_make_help_lists_the_target(target: str) -> None:
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"make {target} " in listed
    recipe = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert target == "help" or "scripts/setup" in recipe, "every target does its own set-up"


def test_ci_runs_make_test() -> None:
    assert read(".ci/run").rstrip().endswith("make test")
