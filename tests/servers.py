"""Private RabbitMQ and Redis servers for tests, started with the configuration files in `deploy/`.

Each instance has free ports on the loopback address, a data folder and (RabbitMQ) a node name of its own, so
several test runs go side by side and the system's servers are never touched. `kill` is SIGKILL to the real
server process; `start` after `kill` or `stop` comes up on the same port with the same data. All calls block
until what they promise is true: in a running event loop wrap them, `await asyncio.to_thread(server.restart)`.

What was started here is ended when the interpreter exits, by process id. A server whose URL is given
(`RabbitServer(url=...)`, from PAVANE_TEST_BROKER_URL and PAVANE_TEST_STATE_URL) is used as it is and cannot
be stopped: a test that kills servers makes a private one.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
RABBITMQ_FOLDER = Path(
    "/usr/lib/rabbitmq/bin"
)  # Debian; its wrappers in /usr/sbin change the user, these do not
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
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class _PrivateServer:
    """One server process with a folder. Subclasses say how it is launched and when it is ready."""

    name: str
    start_timeout = 90.0

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
        """Ask the server to end (SIGTERM) and wait until it has; killed after `timeout` seconds."""
        self._end(signal.SIGTERM, timeout)

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
        os.killpg(self._ours().pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        os.killpg(self._ours().pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill the server and remove its folder. Safe to call twice; also called at interpreter exit."""
        if (
            self.external or self._folder is None or self._owner != os.getpid()
        ):  # a fork of the tests owns nothing
            return
        if self._process is not None:
            self.kill()
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


class RabbitServer(_PrivateServer):
    """A RabbitMQ node with the user guest, its own Erlang cookie and `deploy/rabbitmq/rabbitmq.conf`.

    Args:
        url: use this server instead of starting one.
        management: enable the management plugin (two seconds more to start), see `management_url`.
        options: further lines of rabbitmq.conf, e.g. `{"consumer_timeout": "60000"}`.
    """

    name = "rabbitmq"

    def __init__(
        self, *, url: str | None = None, management: bool = False, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(url)
        self._url = url
        self._management_port: int | None = None
        self._options = dict(options or {})
        if self.external:
            return
        self.port = free_port()
        self._dist_port = free_port()
        self.node = f"pavane_{os.getpid()}_{secrets.token_hex(4)}@localhost"
        if management:
            self._management_port = free_port()
            self._options["management.tcp.ip"] = HOST
            self._options["management.tcp.port"] = str(self._management_port)

    @property
    def url(self) -> str:
        return self._url or f"amqp://guest:guest@{HOST}:{self.port}/"

    @property
    def pid(self) -> int:
        """Process id of the Erlang machine, which the start script forks."""
        script = self._ours().pid
        file = self.folder / "pid"
        return int(file.read_text()) if file.exists() else script

    @property
    def management_url(self) -> str:
        """The management API, of a server made with `management=True`."""
        if self._management_port is None:
            raise ServerError("this RabbitMQ was started without the management plugin")
        return f"http://guest:guest@{HOST}:{self._management_port}"

    def rabbitmqctl(self, *args: str, timeout: float = 60.0) -> str:
        """Run rabbitmqctl against this node; its output.

        Raises:
            ServerError: it failed; the message holds what it said.
        """
        command = [_rabbitmq_program("rabbitmqctl"), "-q", "-n", self.node, *args]
        done = subprocess.run(
            command, env=self._environment(), cwd=self.folder, capture_output=True, text=True, timeout=timeout
        )
        if done.returncode != 0:
            raise ServerError(
                f"rabbitmqctl {' '.join(args)} failed ({done.returncode})\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def settle(self, *queues: str, timeout: float = 30.0) -> None:
        """Wait until the node would know these quorum queues again after a SIGKILL.

        RabbitMQ (3.10.8) writes the directory of its quorum queues about a second after the last declaration.
        Killed before, it starts such a queue from scratch: without leader, and without the messages it had
        confirmed.
        """
        deadline = time.monotonic() + timeout
        while missing := [queue for queue in queues if not self._knows_on_disk(queue)]:
            if time.monotonic() > deadline:
                raise ServerError(
                    f"not in the directory of quorum queues after {timeout:g} s: {', '.join(missing)}"
                )
            time.sleep(0.05)

    def _knows_on_disk(self, queue: str) -> bool:
        name = b"%2F_" + queue.encode()  # the default vhost, as RabbitMQ writes it
        return any(name in file.read_bytes() for file in self.folder.glob("data/*/quorum/*/names.dets"))

    def _command(self) -> list[str]:
        self._write_configuration()
        (self.folder / "pid").unlink(missing_ok=True)  # of the process before this one
        return [_rabbitmq_program("rabbitmq-server")]

    def _write_configuration(self) -> None:
        (self.folder / "conf.d").mkdir(exist_ok=True)
        lines = [f"{key} = {value}\n" for key, value in self._options.items()]
        (self.folder / "conf.d" / "90-private.conf").write_text("".join(lines))
        plugins = DEPLOY / "rabbitmq" / "enabled_plugins"
        enabled = "[].\n" if self._management_port is None else plugins.read_text()
        (self.folder / "enabled_plugins").write_text(enabled)

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_"))}
        folder = str(self.folder)
        return inherited | {
            "HOME": folder,  # the Erlang cookie is made here
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none.env",  # not the system's
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/none.config",
            "RABBITMQ_CONFIG_FILE": str(DEPLOY / "rabbitmq" / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": f"{folder}/conf.d",
            # Loopback only; and schedulers that sleep when idle: several nodes may share two cores.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        }

    def _is_ready(self) -> bool:
        return _answers(self.port, b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00") and self._management_is_ready()

    def _management_is_ready(self) -> bool:
        if self._management_port is None:
            return True
        try:
            urllib.request.urlopen(f"http://{HOST}:{self._management_port}/api/overview", timeout=2.0)
        except urllib.error.HTTPError as error:
            return error.code == 401  # it asks who we are, so it is there
        except OSError:
            return False
        return True


class RedisServer(_PrivateServer):
    """A Redis with `deploy/redis/redis.conf`: append-only file, fsync every second, nothing evicted.

    Args:
        url: use this server instead of starting one.
        options: further settings, e.g. `{"maxmemory": "8mb", "maxmemory-policy": "allkeys-lru"}`.
    """

    name = "redis"

    def __init__(self, *, url: str | None = None, options: Mapping[str, str] | None = None) -> None:
        super().__init__(url)
        self._url = url
        self._options = dict(options or {})
        if not self.external:
            self.port = free_port()

    @property
    def url(self) -> str:
        return self._url or f"redis://{HOST}:{self.port}/0"

    def _command(self) -> list[str]:
        program = shutil.which("redis-server")
        if program is None:
            raise ServerError("redis-server is missing: run make setup, or set PAVANE_TEST_STATE_URL")
        settings = {
            "port": str(self.port),
            "bind": HOST,
            "dir": str(self.folder),
            "daemonize": "no",
        } | self._options
        overrides = [word for key, value in settings.items() for word in (f"--{key}", value)]
        return [program, str(DEPLOY / "redis" / "redis.conf"), *overrides]

    def _is_ready(self) -> bool:
        return _answers(self.port, b"PING\r\n", b"+PONG")


def shared_rabbit() -> RabbitServer:
    """The broker of PAVANE_TEST_BROKER_URL, else a private one; not yet started."""
    return RabbitServer(url=os.environ.get("PAVANE_TEST_BROKER_URL") or None)


def shared_redis() -> RedisServer:
    """The store of PAVANE_TEST_STATE_URL, else a private one; not yet started."""
    return RedisServer(url=os.environ.get("PAVANE_TEST_STATE_URL") or None)


def _rabbitmq_program(name: str) -> str:
    program = RABBITMQ_FOLDER / name
    found = str(program) if program.exists() else shutil.which(name)
    if found is None:
        raise ServerError(f"{name} is missing: run make setup, or set PAVANE_TEST_BROKER_URL")
    return found


def _answers(port: int, question: bytes, answer: bytes) -> bool:
    """Whether the server on `port` answers a first message of its protocol as one that is ready does."""
    try:
        with socket.create_connection((HOST, port), timeout=2.0) as connection:
            connection.sendall(question)
            return connection.recv(64).startswith(answer)
    except OSError:
        return False
