"""A pytest plug-in that counts what ran and fails a session that left anything out.

A skipped, expectedly failing or deselected test says nothing about the code, so a full run must not have any.
Loaded by `tests.run` (`-p tests.tally --tally FILE`); who picks tests by hand with `-k` does without it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

LEFT_OUT = ("skipped", "xfailed", "xpassed", "deselected")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tally", metavar="FILE", type=Path, help="write how many tests passed, failed, ... as JSON"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Tally(config.getoption("--tally")), "pavane-tally")


class Tally:
    """Counts of one session: passed, failed, errors, and the four ways of leaving a test out."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._counts: Counter[str] = Counter()
        self._left_out: list[str] = []
        self._deselected: list[str] = []

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        for item in items:
            self._deselected.append(item.nodeid)
            self._leave_out("deselected", item.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A process of several has ended. Each has left out the same."""
        for nodeid in getattr(node, "workeroutput", {}).get("deselected", ()):
            if nodeid not in self._deselected:
                self._deselected.append(nodeid)
                self._leave_out("deselected", nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._leave_out("skipped", report.nodeid)
        elif report.failed:
            self._counts["errors"] += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "wasxfail"):
            self._leave_out("xfailed" if report.skipped else "xpassed", report.nodeid)
        elif report.skipped:
            self._leave_out("skipped", report.nodeid)
        elif report.when == "call":
            self._counts["passed" if report.passed else "failed"] += 1
        elif report.failed:  # in a fixture
            self._counts["errors"] += 1

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        told: dict[str, object] | None = getattr(session.config, "workeroutput", None)
        if told is not None:  # one process of several: the first one counts, and is told of all but this
            told["deselected"] = self._deselected
            return
        if self._left_out and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._file is not None:
            self._file.write_text(json.dumps(self._counts))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._left_out:
            terminalreporter.section("left out: a full run may not do that", red=True, bold=True)
            for line in self._left_out:
                terminalreporter.write_line(line)

    def _leave_out(self, how: str, nodeid: str) -> None:
        self._counts[how] += 1
        self._left_out.append(f"{how}: {nodeid}")
