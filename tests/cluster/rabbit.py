"""A three-node RabbitMQ, each node on a machine of its own."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence

from tests.cluster.namespaces import Machine
from tests.servers import RabbitServer

PORT = 5672
COOKIE = secrets.token_hex(12)


class ClusterNode(RabbitServer):
    """One node. It joins the others when it starts for the first time."""

    start_timeout = 180.0

    def __init__(self, machine: Machine, machines: Sequence[Machine]) -> None:
        nodes = {
            f"cluster_formation.classic_config.nodes.{one.number}": f"pavane@{one.name}" for one in machines
        }
        super().__init__(
            options=nodes
            | {
                "cluster_formation.peer_discovery_backend": "classic_config",
                "cluster_partition_handling": "pause_minority",
                "net_ticktime": "8",
                "loopback_users": "none",  # we come from the bridge
            }
        )
        self.machine = machine
        self.port = PORT
        self.node = f"pavane@{machine.name}"
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(COOKIE)
        cookie.chmod(0o400)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.machine.address}:{PORT}/"

    def _tool(self, name: str) -> list[str]:
        return self.machine.command(*super()._tool(name))

    def _environment(self) -> dict[str, str]:
        address = self.machine.address
        there = ",".join(address.split("."))
        return super()._environment() | {
            "ERL_EPMD_ADDRESS": address,
            "RABBITMQ_NODE_IP_ADDRESS": address,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"-kernel inet_dist_use_interface {{{there}}} +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        }

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection((self.machine.address, PORT), timeout=1.0) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(64).startswith(b"\x01\x00\x00")
        except OSError:
            return False


def leaders(node: RabbitServer) -> dict[str, int]:
    """How many queues each node leads."""
    told = node.rabbitmqctl("list_queues", "--no-table-headers", "leader")
    counts: dict[str, int] = {}
    for name in told.split():
        counts[name] = counts.get(name, 0) + 1
    return counts


def left_in_queues(node: RabbitServer) -> dict[str, int]:
    """Messages by queue, of those that are not empty, as this node counts them."""
    told = node.rabbitmqctl("list_queues", "--no-table-headers", "name", "messages")
    pairs = (line.split("\t") for line in told.splitlines() if "\t" in line)
    return {name: int(count) for name, count in pairs if int(count)}
