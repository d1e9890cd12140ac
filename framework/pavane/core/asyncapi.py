"""The AsyncAPI 3 document of an app: what a program without pavane has to know to send it events, or to read them.

    servers      the nodes of the broker, without credentials
    channels     one per event, `<event name>`: exchange `ns.events`, routing key = event name
    messages     one per event and version, `<event name>.v<version>`: its headers and its payload
    operations   `<worker>.receive.<event>`, `<worker>.send.<event>`, and `outside.send.<event>` for other systems

Payloads of older versions are known only to the upcasters that lift them, and described as objects.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from pavane.core.contracts import Sides, sides_of
from pavane.core.envelope import CONTENT_TYPE
from pavane.core.payload_schema import readable_versions, shared_schemas
from pavane.core.sender_headers import sender_headers
from pavane.core.topology import Names
from pavane.model.definition import WorkerDefinition
from pavane.model.event import Event
from pavane.model.workflow import Workflow

Document: TypeAlias = dict[str, Any]

BINDING_VERSION: Final = "0.3.0"
PERSISTENT: Final = 2
PORTS: Final = {"amqp": 5672, "amqps": 5671}
OUTSIDE: Final = "outside"


def asyncapi(
    workers: Sequence[WorkerDefinition],
    workflows: Sequence[Workflow[Any, Any]],
    outside: Sequence[type[Event]] = (),
    *,
    title: str,
    namespace: str,
    broker_url: str | None,
) -> Document:
    """The document of these definitions.

    Args:
        outside: events that systems outside emit.
        title: what the app is called.
        broker_url: with commas between several nodes; `None`: the document names no server.

    Raises:
        UsageError: a field's type has no JSON Schema.
    """
    events = sides_of(workers, workflows, outside)
    payloads, schemas = shared_schemas([one.event for one in events])
    document: Document = {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": "", "description": _DESCRIPTION},
        "defaultContentType": CONTENT_TYPE,
        "servers": _servers(broker_url),
        "channels": {one.event.event_name: _channel(one, namespace) for one in events},
        "operations": _operations(events, Names(namespace)),
        "components": {
            "messages": dict(_messages(events, payloads)),
            "schemas": schemas,
            "securitySchemes": {"user": {"type": "userPassword", "description": "A user of RabbitMQ."}},
        },
    }
    document["info"]["version"] = _fingerprint(document)
    return document


_DESCRIPTION: Final = """\
Events of long-running workflows on RabbitMQ. Send an event to its exchange with its name as routing key, persistent, \
mandatory and with publisher confirms: what comes back has no reader. An event whose id was seen before is folded, so \
send it again, with the same id, until it is confirmed. A message that starts a workflow makes a run of it; one that \
belongs to a run names the run in its headers."""


def _fingerprint(document: Document) -> str:
    """The document's version: another one where anything but the servers is another."""
    described = {name: value for name, value in document.items() if name != "servers"}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]


def _servers(broker_url: str | None) -> Document:
    found: Document = {}
    for number, url in enumerate(broker_url.split(",") if broker_url else (), 1):
        # Behind the last @: nothing of a password is left, not even of one that was never escaped.
        scheme, _, rest = url.strip().partition("://")
        node = urlsplit(f"{scheme}://{rest.rpartition('@')[2]}")
        host = f"[{node.hostname}]" if ":" in (node.hostname or "") else node.hostname
        found[f"broker{number}"] = {
            "host": f"{host}:{node.port or PORTS[scheme]}",
            "pathname": node.path or "/",
            "protocol": scheme,
            "protocolVersion": "0.9.1",
            "description": "RabbitMQ; the path names the virtual host.",
            "security": [{"$ref": "#/components/securitySchemes/user"}],
        }
    return found


def _channel(sides: Sides, namespace: str) -> Document:
    event = sides.event
    exchange = {
        "name": Names(namespace).exchange("events"),
        "type": "topic",
        "durable": True,
        "autoDelete": False,
    }
    return {
        "address": event.event_name,
        "title": event.__qualname__,
        **_described(event),
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _message_names(sides)},
        "bindings": {
            "amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": BINDING_VERSION},
        },
    }


def _described(event: type[Event]) -> Document:
    return {"description": event.__doc__.strip()} if event.__doc__ else {}


# messages


def _message_names(sides: Sides, *, only_own: bool = False) -> list[str]:
    event = sides.event
    versions = (event.event_version,) if only_own else reversed(readable_versions(event))
    return [f"{event.event_name}.v{version}" for version in versions]


def _messages(events: Iterable[Sides], payloads: dict[str, Document]) -> Iterable[tuple[str, Document]]:
    for sides in events:
        event = sides.event
        for version in readable_versions(event):
            own = version == event.event_version
            yield (
                f"{event.event_name}.v{version}",
                {
                    "name": event.event_name,
                    "title": f"{event.__qualname__}, version {version}",
                    "contentType": CONTENT_TYPE,
                    "headers": sender_headers(event.event_name, version, starts=sides.starts),
                    "payload": payloads[event.event_name] if own else _old_payload(version),
                    "bindings": {
                        "amqp": {"messageType": event.event_name, "bindingVersion": BINDING_VERSION}
                    },
                    "correlationId": {"location": "$message.header#/correlationid"},
                    **({"x-pavane-starts": sides.starts.name} if sides.starts else {}),
                },
            )


def _old_payload(version: int) -> Document:
    return {"type": "object", "description": f"As version {version} was; readers lift it to the present one."}


# operations


def _operations(events: Iterable[Sides], names: Names) -> Document:
    found: Document = {}
    for sides in events:
        event = sides.event.event_name
        for worker in sides.read_by:
            found[f"{worker.full_name}.receive.{event}"] = _receive(worker, sides, names)
        for worker in sides.emitted_by:
            found[f"{worker.full_name}.send.{event}"] = _send(sides, worker.full_name, worker.service)
        if sides.outside:
            found[f"{OUTSIDE}.send.{event}"] = _send(sides, "A system outside", OUTSIDE)
    return found


def _receive(worker: WorkerDefinition, sides: Sides, names: Names) -> Document:
    return {
        "action": "receive",
        "title": worker.full_name,
        **({"summary": worker.description} if worker.description else {}),
        **_on_channel(sides, _message_names(sides)),
        "tags": [{"name": worker.service}],
        "bindings": {"amqp": {"ack": True, "bindingVersion": BINDING_VERSION}},
        "x-pavane-queue": names.queue(worker.service, worker.name),
    }


def _send(sides: Sides, who: str, tag: str) -> Document:
    starts = f" and starts a run of {sides.starts.name}" if sides.starts else ""
    return {
        "action": "send",
        "title": f"{who} tells {sides.event.event_name}{starts}",
        **_on_channel(sides, _message_names(sides, only_own=tag != OUTSIDE)),
        "tags": [{"name": tag}],
        "bindings": {
            "amqp": {"deliveryMode": PERSISTENT, "mandatory": True, "bindingVersion": BINDING_VERSION},
        },
    }


def _on_channel(sides: Sides, messages: Iterable[str]) -> Document:
    channel = f"#/channels/{sides.event.event_name}"
    return {
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in messages],
    }
