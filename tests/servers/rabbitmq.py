"""A private RabbitMQ node."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.servers.process import DEPLOY, HOST, PrivateServer, ServerError, answers, free_port

# Debian; its wrappers in /usr/sbin change the user, these do not.
RABBITMQ_FOLDER = Path("/usr/lib/rabbitmq/bin")


class RabbitServer(PrivateServer):
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
        command = [*self._tool("rabbitmqctl"), "-q", "-n", self.node, *args]
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
        return self._tool("rabbitmq-server")

    def _tool(self, name: str) -> list[str]:
        """How one of RabbitMQ's programs is called."""
        return [_program(name)]

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
        return answers(self.port, b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00") and self._management_is_ready()

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


def _program(name: str) -> str:
    program = RABBITMQ_FOLDER / name
    found = str(program) if program.exists() else shutil.which(name)
    if found is None:
        raise ServerError(f"{name} is missing: run make setup, or set PAVANE_TEST_BROKER_URL")
    return found
