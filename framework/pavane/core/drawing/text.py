"""How text fits into boxes, and how text from data is made harmless before it is drawn.

Widths are computed by one fixed metric, because a picture is laid out where no font is at hand. All text is set
in a monospace font. In those that systems have, printable ASCII and the letters of the European alphabets are
0.55 to 0.602 of the font's size wide (Consolas the narrowest; DejaVu Sans Mono, Menlo and Liberation Mono 0.602,
bold as well); `CELL` allows 0.62. Any other sign may come from another font and counts as two cells, which is
enough for the full width of Chinese, Japanese and Korean signs. The few that are wider still are cut at the edge
of their box, as is a pile of accents.
"""

from __future__ import annotations

CELL = 0.62
"""The width of a character, in font sizes."""

_LAST_NARROW = "\u052f"
"""Up to here: Latin, Greek and Cyrillic letters."""

_BREAK_AFTER = " .,:;_-/"


def harmless(text: str) -> str:
    """The text with an escape for every character that cannot be seen or that changes the direction of writing."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii")
        for char in text
    )


def cells(text: str) -> int:
    """How many character widths the text takes at most."""
    return sum(1 if char <= _LAST_NARROW else 2 for char in text)


def text_width(text: str, size: float) -> float:
    """In pixels, at a font size in pixels."""
    return cells(text) * CELL * size


def wrapped(text: str, limit: int, *, lines: int | None = None) -> list[str]:
    """The text in lines of at most `limit` cells, broken where its words allow it.

    Args:
        lines: at most so many; what is left out is told by three dots. `None`: all.
    """
    found: list[str] = []
    rest = harmless(text)
    while rest and (lines is None or len(found) < lines):
        line = _first_line(rest, limit)
        rest = rest[len(line) :]
        found.append(line.strip())
    if rest.strip():
        found[-1] = _fitting(found[-1], limit - 3) + "..."
    return found


def _first_line(text: str, limit: int) -> str:
    line = _fitting(text, limit)
    if line == text:
        return line
    end = max(line.rfind(char) for char in _BREAK_AFTER) + 1
    return line[:end] if 2 * end > len(line) else line


def _fitting(text: str, limit: int) -> str:
    """As much of the beginning as fits, but at least one character."""
    taken = 0
    for place, char in enumerate(text):
        taken += cells(char)
        if taken > limit:
            return text[: max(place, 1)]
    return text
