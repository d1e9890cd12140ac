"""Live progress: a bar, and the runs by status. Where nobody watches, a plain line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.demo.drive import Drive

STYLES = {
    "completed": "green",
    "failed": "magenta",
    "compensated": "yellow",
    "cancelled": "yellow",
    "compensating": "cyan",
    "running": "blue",
    "stalled": "bold red",
}
LINE_EVERY = 2.0


class Progress:
    """A context manager around the drive; call `show` as often as you like."""

    def __init__(self, console: Console, drive: Drive) -> None:
        self._console = console
        self._drive = drive
        self._live = Live(console=console, refresh_per_second=10, transient=False)
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.update(self._render())
            self._live.stop()
        else:
            self._console.print(self._counts())

    def show(self) -> None:
        """Draw what the drive has seen."""
        if self._console.is_terminal:
            self._live.update(self._render())
        elif time.monotonic() - self._last_line >= LINE_EVERY:
            self._last_line = time.monotonic()
            self._console.print(self._counts())

    def _render(self) -> RenderableType:
        bar = Table.grid(padding=(0, 1))
        ended, total = self._drive.ended, self._drive.total
        bar.add_row("orders", ProgressBar(total=max(1, total), completed=ended, width=50), f"{ended}/{total}")
        return Group(bar, self._counts())

    def _counts(self) -> Text:
        line = Text(f"{self._drive.ended} of {self._drive.total} runs have ended")
        for status, count in sorted(self._drive.by_status.items()):
            line.append(f"  {status} {count}", style=STYLES.get(status, ""))
        return line
