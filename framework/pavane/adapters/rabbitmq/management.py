"""What RabbitMQ's management API knows and AMQP does not tell: which queues, exchanges and bindings there are."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

from pavane.adapters.rabbitmq.topology import Binding
from pavane.errors import BrokerUnavailable

_REMEDY = (
    "Correct PAVANE_MANAGEMENT_URL (http://user:password@host:15672); its user needs the tag `monitoring`. "
    "`rabbitmq-plugins enable rabbitmq_management` turns the API on. Without the variable nothing asks it."
)


@dataclass(frozen=True, slots=True)
class Present:
    """What a virtual host has.

    Attributes:
        queues: with the messages in each, as of some seconds ago: waiting, delivered, and being dead-lettered.
        bindings: those of the default exchange left out.
    """

    queues: Mapping[str, int]
    exchanges: frozenset[str]
    bindings: frozenset[Binding]


class Management:
    """Asks the API, with the broker's user where the URL names none.

    Args:
        urls: of one or several nodes, with commas between.
        broker_url: whose virtual host is meant.
        timeout: seconds for each question.
    """

    def __init__(self, urls: str, broker_url: str, *, timeout: float) -> None:
        self._nodes = [url.strip().rstrip("/") for url in urls.split(",")]
        self._broker = urlsplit(broker_url)
        self._vhost = quote(unquote(self._broker.path[1:]) or "/", safe="")
        self._timeout = timeout

    async def present(self) -> Present:
        """What is there now.

        Raises:
            BrokerUnavailable: no node answers, or not to this user.
        """
        queues, exchanges, bindings = await asyncio.gather(
            *(asyncio.to_thread(self._ask, kind) for kind in ("queues", "exchanges", "bindings"))
        )
        return Present(
            queues={queue["name"]: int(queue.get("messages") or 0) for queue in queues},
            exchanges=frozenset(exchange["name"] for exchange in exchanges),
            bindings=frozenset(_binding(binding) for binding in bindings if binding["source"]),
        )

    def _ask(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get(f"{kind}/{self._vhost}")
        return found

    def _get(self, path: str) -> Any:
        refusal = ""
        for node in self._nodes:
            parts = urlsplit(node)
            place = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
            try:
                with urllib.request.urlopen(self._request(node, path), timeout=self._timeout) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                refusal = f"{place}: it answers {error.code}"
            except (OSError, http.client.HTTPException) as error:
                refusal = f"{place}: {getattr(error, 'reason', error)}"
            except ValueError:
                refusal = f"{place}: what it answers is no JSON"
        raise BrokerUnavailable(
            f"RabbitMQ's management API cannot be asked at {refusal}.",
            remedy=_REMEDY,
        )

    def _request(self, node: str, path: str) -> urllib.request.Request:
        parts = urlsplit(node)
        host = parts.netloc.rpartition("@")[2]
        who = parts if parts.username is not None else self._broker
        user, password = unquote(who.username or "guest"), unquote(who.password or "guest")
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        return urllib.request.Request(
            f"{parts.scheme}://{host}{parts.path}/api/{path}",
            headers={"Authorization": f"Basic {word}"},
        )


def _binding(document: Mapping[str, Any]) -> Binding:
    kind: Literal["queue", "exchange"] = "queue" if document["destination_type"] == "queue" else "exchange"
    return Binding(document["source"], document["routing_key"], document["destination"], kind)
