"""Which tests are marked with which rows: read from the files, so that no test has to be imported."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
MARK = "pytest.mark.fault"


@dataclass(frozen=True, order=True)
class Shown:
    """A test that shows a row: its file below `tests`, and its name."""

    file: str
    test: str

    @property
    def words(self) -> str:
        """The test's name, read as the sentence that it is."""
        return self.test.removeprefix("test_").replace("_", " ")


def shown() -> dict[str, list[Shown]]:
    """The tests of each row, in the order of files and lines."""
    found: dict[str, list[Shown]] = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        text = file.read_text()
        if MARK not in text:
            continue
        for test, ids in marked(ast.parse(text)):
            for id_ in ids:
                found[id_].append(Shown(str(file.relative_to(TESTS)), test))
    return found


def marked(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each marked test of a module with its rows."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            ids = [id_ for decorator in node.decorator_list for id_ in rows_of(decorator)]
            if ids:
                yield node.name, ids


def rows_of(decorator: ast.expr) -> list[str]:
    """The rows that a decorator names, if it is our mark."""
    if not isinstance(decorator, ast.Call) or ast.unparse(decorator.func) != MARK:
        return []
    return [str(argument.value) for argument in decorator.args if isinstance(argument, ast.Constant)]
