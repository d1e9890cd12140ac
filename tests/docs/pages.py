"""The pages of the documentation, and the blocks of code in them.

A block of Python is one of these, told by the words after its three backticks:

    python                    complete: run as a program, with what the page's blocks before it were saved as
    python file=shop.py       the same, saved under that name, so that later blocks can import it
    python file=test_shop.py  complete: run by pytest
    python fragment           only compiled: it needs something around it
    python excerpt=<path>     word for word a part of that file of the repository
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: its page, the line it begins at, the words after the backticks, what it holds."""

    page: Path
    line: int
    info: str
    code: str

    @property
    def language(self) -> str:
        return self.info.split(" ")[0]

    @property
    def option(self) -> str:
        """`fragment`, `file=…`, `excerpt=…`, or nothing."""
        return self.info.partition(" ")[2].strip()

    @property
    def complete(self) -> bool:
        return self.language == "python" and (not self.option or self.option.startswith("file="))

    @property
    def file(self) -> str:
        """The name it is saved under."""
        return self.option.removeprefix("file=") or f"block_{self.line}.py"

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text()
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            info=found["info"].strip(),
            code=found["code"],
        )
        for found in _FENCE.finditer(text)
    ]
