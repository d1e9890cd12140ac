"""docs/bad-input.md says what the tests of bad input do, every line once."""

from __future__ import annotations

from tests.bad_input.page import GROUPS, PAGE, REWRITE, text


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text() == text(), f"docs/bad-input.md is out of date: {REWRITE}"


def test_every_line_is_there_once_and_complete() -> None:
    cases = [case for group in GROUPS for case in group.cases]
    assert len({case.what for case in cases}) == len(cases)
    assert all(case.code and case.seen and case.remedy for case in cases)
    assert all("\n" not in words for case in cases for words in (case.what, case.seen, case.remedy))
