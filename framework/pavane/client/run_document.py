"""All of one run in one document, read at one moment: what `pavane runs show` prints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from pavane.client import views
from pavane.core.record import Record
from pavane.model.views import RunStatus, Step, View


class TimerInfo(View):
    """A timer of a run: its key, when it fires, and the name of the event it becomes."""

    key: str
    at: datetime
    event: str


class RunDocument(View):
    """A run with everything it has. Gates and children are empty: this version has none."""

    run: RunStatus
    steps: list[Step]
    gates: list[Any] = Field(default_factory=list[Any])
    timers: list[TimerInfo] = Field(default_factory=list[TimerInfo])
    children: list[RunStatus] = Field(default_factory=list[RunStatus])


def run_document(record: Record) -> RunDocument:
    timers = sorted(record.timers.values(), key=lambda timer: (timer.at, timer.key))
    return RunDocument(
        run=views.run_status(record),
        steps=[views.step_view(record, row) for row in views.in_order(record)],
        timers=[
            TimerInfo(key=timer.key, at=views.exactly(timer.at), event=timer.event.name) for timer in timers
        ],
    )
