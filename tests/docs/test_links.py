"""Links between the pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks

LINK = re.compile(r"\[[^\]]+\]\((?P<to>[^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """What the headings of a page can be linked to as."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = page.read_text()
    for block in blocks(page):
        text = text.replace(block.code, "")
    for found in LINK.finditer(text):
        to, _, anchor = found["to"].partition("#")
        if to.startswith(("http://", "https://")):
            continue
        target = (page.parent / to).resolve() if to else page
        assert target.exists(), f"{page.name}: {found['to']}"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {found['to']}"


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in PAGES[1:]:
        assert f"docs/{page.name}" in readme, f"README.md does not name docs/{page.name}"
