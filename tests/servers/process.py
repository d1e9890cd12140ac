"""One private server process: started, stopped, killed, frozen, and gone when the tests end."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
HOST = "127.0.0.1"


class ServerError(Exception):
    """A server is missing, did not come up, or is not ours to stop; the message holds the end of its log."""


def process_is_gone(pid: int) -> bool:
    """Whether no process `pid` runs; one that ended and waits for its parent to notice counts as gone."""
    try:
        os.kill(pid, 0)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # between the two calls, or a system without /proc
        return Path("/proc/self").exists()
    state, threads = fields[0], int(fields[17])
    return state in "ZX" and threads <= 1  # while other threads are still ending, sockets are still open


def free_port() -> int:
    """A port of the loopback address that nobody listens on now.

    It is below those the system hands out to outgoing connections (32768 and up on Linux): a client that
    keeps trying to reach a killed server could otherwise be given that very port, and be connected to itself.
    """
    while True:
        port = secrets.randbelow(20_000) + 12_000
        with socket.socket() as probe, contextlib.suppress(OSError):  # taken: try another
            probe.bind((HOST, port))
            return port


class PrivateServer:
    """One server process with a folder. Subclasses say how it is launched and when it is ready."""

    name: str
    start_timeout = 90.0
    stop_signal = signal.SIGTERM
    end_signal = signal.SIGKILL
    """How `close` ends it: nobody needs the data any more."""

    def __init__(self, url: str | None) -> None:
        self.external = url is not None
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        if not self.external:
            self._folder = Path(tempfile.mkdtemp(prefix=f"pavane-{self.name}-"))
            atexit.register(self.close)

    # What subclasses provide.

    def _command(self) -> list[str]:
        raise AssertionError("a server says how it is launched")

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _is_ready(self) -> bool:
        raise AssertionError("a server says when it is ready")

    # What tests call.

    @property
    def folder(self) -> Path:
        """Where data, configuration overrides and the log are."""
        if self._folder is None:
            raise ServerError(f"{self.name} is not ours: this test needs a private server")
        return self._folder

    @property
    def pid(self) -> int:
        """Process id of the server itself, of a server made here that was started."""
        return self._ours().pid

    @property
    def running(self) -> bool:
        """Whether the process lives; a server that is not ours is taken to run."""
        return self.external or (self._process is not None and self._process.poll() is None)

    def start(self) -> Self:
        """Start the server, unless it runs; return when clients can connect."""
        if self.running:
            return self
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the tests, which end their servers
            )
        self._wait_until_ready()
        return self

    def stop(self, timeout: float = 60.0) -> None:
        """Ask the server to end (`stop_signal`) and wait until it has; killed after `timeout` seconds."""
        self._end(self.stop_signal, timeout)

    def kill(self) -> None:
        """SIGKILL, as a power cut would do it to the process; return when it is gone."""
        self._end(signal.SIGKILL, 10.0)

    def restart(self, *, kill: bool = False) -> Self:
        """End the server (by SIGKILL if `kill`) and start it on the same port with the same data."""
        if kill:
            self.kill()
        else:
            self.stop()
        return self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, until `thaw`."""
        pid, deadline = self._ours().pid, time.monotonic() + self.start_timeout
        os.killpg(pid, signal.SIGSTOP)
        # On a busy machine its threads run on until the first of them has come to see the signal.
        while not is_stopped(pid):
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} does not stand still")
            time.sleep(0.005)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        os.killpg(self._ours().pid, signal.SIGCONT)

    def close(self) -> None:
        """End the server and remove its folder. Safe to call twice; also called at interpreter exit."""
        if (
            self.external or self._folder is None or self._owner != os.getpid()
        ):  # a fork of the tests owns nothing
            return
        if self._process is not None:
            self._end(self.end_signal, 10.0)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    # How it is done.

    def _ours(self) -> subprocess.Popen[bytes]:
        if self.external:
            raise ServerError(f"{self.name} is not ours to stop: this test needs a private server")
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        return self._process

    def _end(self, how: signal.Signals, timeout: float) -> None:
        process, server = self._ours(), self.pid
        if process.poll() is None:
            # The session's group holds the server and the helper processes it forked.
            os.killpg(process.pid, how)
            if how is not signal.SIGKILL:
                os.killpg(process.pid, signal.SIGCONT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10.0)
        self._process = None
        self._wait_until_gone(server)

    def _wait_until_gone(self, pid: int) -> None:
        deadline = time.monotonic() + 10.0
        while not process_is_gone(pid):
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name}: process {pid} does not end")
            time.sleep(0.01)

    def _wait_until_ready(self) -> None:
        process, deadline = self._ours(), time.monotonic() + self.start_timeout
        while not self._is_ready():
            if process.poll() is not None:
                self._process = None
                raise ServerError(
                    f"{self.name} ended with {process.returncode} while starting\n{self._log_end()}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(
                    f"{self.name} was not ready within {self.start_timeout:g} s\n{self._log_end()}"
                )
            time.sleep(0.05)

    def _log_end(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def answers(port: int, question: bytes, answer: bytes) -> bool:
    """Whether the server on `port` answers a first message of its protocol as one that is ready does."""
    try:
        with socket.create_connection((HOST, port), timeout=2.0) as connection:
            connection.sendall(question)
            return connection.recv(64).startswith(answer)
    except OSError:
        return False


def is_stopped(pid: int) -> bool:
    """Whether every thread of a process is stopped by a signal."""
    try:
        states = [
            (task / "stat").read_text().rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{pid}/task").iterdir()
        ]
    except FileNotFoundError:  # a thread has ended meanwhile, so it was not stopped
        return False
    return set(states) == {"T"}
