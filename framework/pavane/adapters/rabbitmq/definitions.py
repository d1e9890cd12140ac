"""Pure: the definitions that RabbitMQ imports: exchanges, queues, bindings, and users with the least rights that do.

Nobody may configure anything, topic permissions are not needed, and no user has a password: he can log in when
the operator has given him one. `initialised` is missing, because it says that Redis has an epoch:
`topology apply` writes that first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from pavane.adapters.rabbitmq.topology import Binding, Exchange, Queue, declarations
from pavane.core.access import operator_user, outside_events, outside_user, published_by, users_of
from pavane.core.choreography import Choreography
from pavane.core.leftovers import topology_of
from pavane.core.migration import interim
from pavane.core.topology import LEVELS, Names, Topology, queues_of

Document: TypeAlias = dict[str, Any]

NOTHING: Final = "^$"
HASHING: Final = "rabbit_password_hashing_sha256"


def definitions(namespace: str, vhost: str, choreography: Choreography) -> Document:
    """The document; `rabbitmqctl import_definitions` and `load_definitions` take it.

    Args:
        vhost: the virtual host that all of it is in, and that it makes.
    """
    topology = topology_of(namespace, choreography)
    wanted = declarations(topology)
    permissions = [
        *_service_permissions(topology, choreography),
        _outside_permission(topology, choreography),
        _operator_permission(namespace),
    ]
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(permission["user"]) for permission in permissions],
        "permissions": [{"vhost": vhost, **permission} for permission in permissions],
        "exchanges": [{"vhost": vhost, **_exchange(exchange)} for exchange in wanted.exchanges],
        "queues": [{"vhost": vhost, **_queue(queue)} for queue in wanted.queues],
        "bindings": [{"vhost": vhost, **_binding(binding)} for binding in wanted.bindings],
    }


def _service_permissions(topology: Topology, choreography: Choreography) -> Iterable[Document]:
    names = topology.names
    for service, user in users_of(topology.namespace, topology.services).items():
        own = [queue for queue in queues_of(topology) if names.service_of(queue) == service]
        queues = [*own, *map(interim, own)]
        events = [names.event(event) for event in published_by(choreography, service)]
        yield _permission(user, write=[*_of_service(names, service), *events], read=queues)


def _of_service(names: Names, service: str) -> Sequence[str]:
    """What leads to the service's own queues; and to `parked`, for what it finds in its intake and nobody knows."""
    wheel = [names.level(service, level) for level in range(LEVELS)]
    return [names.jobs(service), names.letters(service), names.exchange("dlx"), *wheel]


def _outside_permission(topology: Topology, choreography: Choreography) -> Document:
    events = [topology.names.event(event) for event in outside_events(choreography)]
    return _permission(outside_user(topology.namespace), write=events, read=())


def _operator_permission(namespace: str) -> Document:
    everything = rf"^{re.escape(namespace)}\."
    user = operator_user(namespace)
    return {"user": user, "configure": everything, "write": everything, "read": everything}


def _permission(user: str, *, write: Sequence[str], read: Sequence[str]) -> Document:
    return {"user": user, "configure": NOTHING, "write": _exactly(write), "read": _exactly(read)}


def _exactly(names: Sequence[str]) -> str:
    """A pattern for these names and no other. RabbitMQ looks for it anywhere in a name, if it is not anchored."""
    return f"^({'|'.join(re.escape(name) for name in names)})$" if names else NOTHING


def _user(name: str) -> Document:
    return {"name": name, "password_hash": "", "hashing_algorithm": HASHING, "tags": []}


def _exchange(exchange: Exchange) -> Document:
    return {
        "name": exchange.name,
        "type": exchange.type,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {"alternate-exchange": exchange.alternate} if exchange.alternate else {},
    }


def _queue(queue: Queue) -> Document:
    return {"name": queue.name, "durable": True, "auto_delete": False, "arguments": queue.arguments}


def _binding(binding: Binding) -> Document:
    return {
        "source": binding.source,
        "destination": binding.target,
        "destination_type": binding.kind,
        "routing_key": binding.key,
        "arguments": {},
    }
