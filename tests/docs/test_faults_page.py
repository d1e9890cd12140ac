"""docs/faults.md says which test shows which fault, and leaves no fault without a test or a reason."""

from __future__ import annotations

import ast

from tests.faults.marks import marked
from tests.faults.page import PAGE, REWRITE, TABLES, bare, text, unknown


def test_the_page_is_what_the_marks_say() -> None:
    assert PAGE.read_text() == text(), f"docs/faults.md is out of date: {REWRITE}"


def test_no_fault_is_without_a_test_or_a_reason() -> None:
    assert bare() == []


def test_no_test_shows_a_row_that_is_not_there() -> None:
    assert unknown() == []


def test_every_row_is_there_once() -> None:
    ids = [row.id for table in TABLES for row in table.rows]
    assert len(set(ids)) == len(ids)


def test_a_mark_is_found_on_every_sort_of_test() -> None:
    text = """
@pytest.mark.timeout(3)
@pytest.mark.fault("A1", "A2")
async def test_one(): ...

class TestMany:
    @pytest.mark.fault("B1")
    def test_two(self): ...

@pytest.mark.other("C1")
def test_three(): ...
"""
    assert list(marked(ast.parse(text))) == [("test_one", ["A1", "A2"]), ("test_two", ["B1"])]
