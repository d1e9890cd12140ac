"""The page about contracts names every kind of change."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "contracts.md").read_text()
SOURCES = [ROOT / "framework/pavane/core" / name for name in ("schema_changes.py", "contract_changes.py")]
CODE = re.compile(
    r"[a-z]+(_[a-z]+)*_(added|removed|changed|refused|accepted|restricted|freed|raised|lowered|optional|required)"
)


def codes() -> set[str]:
    """The codes that stand in the code; those that are put together there are shown by examples."""
    words = {
        node.value
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {word for word in words if CODE.fullmatch(word)}


def test_every_change_is_in_the_table() -> None:
    assert len(codes()) > 20
    listed = set(re.findall(r"`([a-z_]+)`", PAGE.split("## What breaks")[1]))
    assert codes() <= listed, codes() - listed
    assert {"completes_with_added", "fails_with_removed", "null_accepted", "minimum_changed"} <= listed
