"""The exported definitions: every pattern admits the names it is made for and not one that is like them."""

from __future__ import annotations

import json
import re

from pavane.adapters.rabbitmq.definitions import definitions
from pavane.adapters.rabbitmq.topology import declarations
from pavane.adapters.redis.acl import acl_lines
from pavane.core.choreography import Choreography, Contract, Program, Worker
from pavane.core.leftovers import topology_of

SHOP = Choreography(
    [
        Program(
            name="shop",
            workers=(
                Worker(
                    name="stock.reserve", hears=("order.placed",), results=("stock.reserved",), has_undo=True
                ),
                Worker(name="stock_x.reserve", hears=("stock.reserved",), results=("order.paid",)),
            ),
            workflows=(Contract(name="orders", starts_with="order.placed", completes_with=("order.paid",)),),
        )
    ]
)
DOCUMENT = definitions("ns", "/shop", SHOP)
RIGHTS = {permission["user"]: permission for permission in DOCUMENT["permissions"]}
NAMES = sorted(
    {one["name"] for one in (*DOCUMENT["queues"], *DOCUMENT["exchanges"])}
    | {"ns.initialised", "nsx.jobs.stock", "xns.jobs.stock", "ns.jobs.stockx", "amq.default", ""}
    | {"ns.q.stock.reserve.more", "nsxeventxorder.paid", "ns.event.order.paid.twice", "ns.event.order_paid"}
)


def admitted(user: str, kind: str) -> set[str]:
    return {name for name in NAMES if re.search(RIGHTS[user][kind], name)}


def test_a_service_reads_its_own_queues_and_writes_what_leads_to_them_and_its_events() -> None:
    assert admitted("ns.service.stock", "read") == {
        *("ns.q.stock.reserve", "ns.undo.stock.reserve", "ns.dlq.stock.reserve", "ns.intake.stock")
    }
    assert admitted("ns.service.stock", "write") == {
        *("ns.jobs.stock", "ns.dlx.stock", "ns.dlx", *(f"ns.delay.stock.{level:02}" for level in range(16))),
        *("ns.event.stock.reserved", "ns.event.order.placed"),
        *(name for name in NAMES if name.startswith("ns.event.pavane.")),
    }
    assert admitted("ns.service.stock_x", "read") == {
        *("ns.q.stock_x.reserve", "ns.dlq.stock_x.reserve", "ns.intake.stock_x")
    }
    for user in ("ns.service.stock", "ns.service.stock_x", "ns.outside"):
        assert RIGHTS[user]["configure"] == "^$"


def test_outside_writes_what_comes_from_outside_and_an_operator_everything_of_the_namespace() -> None:
    assert admitted("ns.outside", "write") == {"ns.event.order.placed"}
    assert admitted("ns.outside", "read") == {""}, "a queue without a name is not declared"
    for kind in ("configure", "write", "read"):
        assert admitted("ns.operator", kind) == {name for name in NAMES if name.startswith("ns.")}


def test_it_is_what_would_be_declared_without_the_mark_and_is_plain_json() -> None:
    wanted = declarations(topology_of("ns", SHOP))
    assert [queue["name"] for queue in DOCUMENT["queues"]] == [queue.name for queue in wanted.queues]
    assert [exchange["name"] for exchange in DOCUMENT["exchanges"]] == [one.name for one in wanted.exchanges]
    assert len(DOCUMENT["bindings"]) == len(wanted.bindings)
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    everything = (*DOCUMENT["queues"], *DOCUMENT["exchanges"], *DOCUMENT["bindings"], *RIGHTS.values())
    assert {one["vhost"] for one in everything} == {"/shop"}
    assert {user["name"] for user in DOCUMENT["users"]} == set(RIGHTS)


def test_users_of_redis_have_one_namespace_and_no_password() -> None:
    lines = [line.split() for line in acl_lines("ns", ["stock", "mail"])]
    assert [words[1] for words in lines] == [
        "ns.service.stock",
        "ns.service.mail",
        "ns.outside",
        "ns.operator",
    ]
    for words in lines:
        assert words[2:6] == ["on", "resetchannels", "~ns:*", "-@all"]
        assert all(word.startswith("+") for word in words[6:])
        assert ("+config|get" in words) == (words[1] == "ns.operator")
