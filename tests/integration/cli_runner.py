"""Running the command line: in this process, which is quick, or as people do, in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pavane.cli.program import execute, main

ROOT = Path(__file__).resolve().parents[2]
APP = "tests.integration.cli_shop:app"
PATIENCE = 30.0


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, str]:
        error: dict[str, str] = json.loads(self.err)["error"]
        return error


@dataclass(frozen=True)
class Pavane:
    """The program in one environment."""

    environment: dict[str, str]

    @classmethod
    def on(cls, **variables: str) -> Pavane:
        """With these variables, and no others of pavane's."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")}
        return cls(inherited | variables)

    def __call__(self, *words: str, input: str = "") -> Done:
        """Run it in this process."""
        return self._captured(lambda: execute(words), input)

    def alone(self, *words: str) -> Done:
        """Run it in this process, which is used for nothing else: with what concerns the whole of it, as logs."""

        def run() -> int:
            with pytest.raises(SystemExit) as ended:
                main(words)
            return int(ended.value.code or 0)

        return self._captured(run)

    def _captured(self, run: Callable[[], int], input: str = "") -> Done:
        out, err = io.StringIO(), io.StringIO()
        stdin = io.TextIOWrapper(io.BytesIO(input.encode()))
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(sys, "stdin", stdin),
            warnings.catch_warnings(),
            contextlib.chdir(ROOT),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run()
        return Done(code, out.getvalue(), err.getvalue())

    def outside(self, *words: str) -> Done:
        """Run it in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "pavane.cli", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def json(self, *words: str, code: int = 0) -> Any:
        """The document that a command answers with."""
        done = self(*words, "--json")
        assert done.code == code, done
        return done.document

    @contextlib.contextmanager
    def watching(self, *words: str) -> Iterator[Iterator[Any]]:
        """The documents of a command with `--watch`, as they come; it is killed at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pavane.cli", *words, "--watch", "--json"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield map(json.loads, process.stdout)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[Running]:
        """`pavane run`, from when it is ready; killed if it is still there at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pavane.cli", "run", *words],
            cwd=ROOT,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(process)
        try:
            yield running
        finally:
            if process.poll() is None:
                running.stop()


class Running:
    """A process of workers; what it says on stderr is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def wait_until_ready(self) -> None:
        """Return when the line `ready` has come."""
        while "ready" not in self.said:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, f"it ended: {self.said}"
            self.said.append(line)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, and all it said is in `said`."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(PATIENCE)
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self.said.append(line)
        return code
