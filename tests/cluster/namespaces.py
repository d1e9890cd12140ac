"""A network of its own, and machines in it: a bridge here, a network namespace with a name and an address for each.

Nothing leaves it: the namespace has no way out, and it is gone with the process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

BRIDGE, NET = "pavane0", "10.77.0"
GATEWAY = 254
INSIDE = "PAVANE_TEST_INSIDE"
"""Set in the process that has a namespace already."""

HOSTS = "127.0.0.1 localhost\n"


class Refused(Exception):
    """The system lets nobody make namespaces; says what it said."""


def enter(module: str) -> None:
    """Run the module again in a network namespace of its own, and end with its exit code; return if it is there.

    Raises:
        Refused: it is not allowed, or there is no `unshare`.
    """
    if os.environ.get(INSIDE):
        run("ip", "link", "set", "lo", "up")
        return
    try:
        tried = subprocess.run(
            ["unshare", "--net", "--mount", "--uts", "true"], capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise Refused(str(error)) from None
    if tried.returncode:
        raise Refused(tried.stderr.strip())
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, "-m", module])


def run(*command: str) -> str:
    """Run a command of the system.

    Raises:
        Refused: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Machine:
    """A network namespace with a host name (`n1`), an address and a hosts file that knows the others.

    A process that does nothing keeps it; killed, all is gone.
    """

    def __init__(self, number: int, hosts: Path) -> None:
        self.number = number
        self.name = f"n{number}"
        self.address = f"{NET}.{number}"
        self._link = f"veth{number}"
        words = f"mount --bind {hosts} /etc/hosts && hostname {self.name} && exec sleep infinity"
        self._keeper = subprocess.Popen(["unshare", "--net", "--mount", "--uts", "sh", "-c", words])
        self._wait_for_namespace()
        pid = str(self._keeper.pid)
        run("ip", "link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", pid)
        run("ip", "link", "set", self._link, "master", BRIDGE, "up")
        for words_ in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            run(*self.command("ip", *words_))

    def _wait_for_namespace(self) -> None:
        """Until the keeper is in its own namespace and has its name: `unshare` takes a moment."""
        end = time.monotonic() + 10
        while Path(f"/proc/{self._keeper.pid}/comm").read_text().strip() != "sleep":
            if self._keeper.poll() is not None or time.monotonic() > end:
                raise Refused(f"the namespace of {self.name} was not made")
            time.sleep(0.01)

    def command(self, *words: str) -> list[str]:
        """A command as it is run on this machine."""
        return ["nsenter", "-t", str(self._keeper.pid), "-n", "-m", "-u", "--", *words]

    def forget_way_to(self, others: Sequence[Machine]) -> None:
        """Send nothing to the others any more: with both doing so, or one, nothing gets through."""
        for other in others:
            run(*self.command("ip", "route", "add", "blackhole", f"{other.address}/32"))

    def find_way_to(self, others: Sequence[Machine]) -> None:
        for other in others:
            run(*self.command("ip", "route", "del", "blackhole", f"{other.address}/32"))

    def unplug(self) -> None:
        """Pull the cable: nobody reaches it, and it reaches nobody."""
        run("ip", "link", "set", self._link, "down")

    def plug_in(self) -> None:
        run("ip", "link", "set", self._link, "up")

    def close(self) -> None:
        self._keeper.send_signal(signal.SIGKILL)
        self._keeper.wait()


class Network:
    """Machines `n1`, `n2`, … on one bridge. Use it as a context."""

    def __init__(self, many: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pavane-network-")
        hosts = Path(self._folder.name) / "hosts"
        names = "".join(f"{NET}.{number} n{number}\n" for number in range(1, many + 1))
        hosts.write_text(HOSTS + names)
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{NET}.{GATEWAY}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        self.machines = [Machine(number, hosts) for number in range(1, many + 1)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.machines:
            machine.close()
        run("ip", "link", "del", BRIDGE)
        self._folder.cleanup()
