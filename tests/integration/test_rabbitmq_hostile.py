"""Messages that make the stock client drop its connection for ever are delivered, with the problem named."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import pamqp.decode
import pytest
from pamqp import commands, header

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.adapters.rabbitmq.decode import DEPTH_LIMIT, Unreadable, content_header
from pavane.ports.broker import Message, ToQueue
from pavane.testing.conformance.broker_stage import Inbox, Stage
from tests.integration.raw_amqp import (
    HEADERS,
    HOSTILE,
    RawPublisher,
    entry,
    nested_tables,
    properties,
    table,
    text,
)
from tests.servers import RabbitServer

NAMESPACE = "hostile"  # shared, as a delay wheel per test would be slow; each stage has names of its own


@pytest.fixture
async def broker(rabbit: RabbitServer) -> AsyncIterator[RabbitMQBroker]:
    broker = RabbitMQBroker(rabbit.url, namespace=NAMESPACE)
    await broker.open()
    yield broker
    await broker.close()


def send(url: str, exchange: str, key: str, hostile: bytes) -> None:
    with RawPublisher(url) as publisher:
        publisher.publish(exchange, key, hostile, b"kept")


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.fault("M2")
async def test_a_hostile_message_is_delivered_with_its_problem(
    rabbit: RabbitServer, broker: RabbitMQBroker, case: str
) -> None:
    hostile, problem = HOSTILE[case]
    stage = await Stage.build(broker, NAMESPACE)
    inbox = Inbox()
    subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    jobs = stage.topology.names.jobs(stage.service)
    await asyncio.to_thread(send, rabbit.url, jobs, stage.first, hostile)
    await broker.publish(Message(b"good"), ToQueue(stage.first))
    bad, good = await inbox.holds(2)
    assert bad.message.body == b"kept"
    assert bad.problem is not None
    assert bad.problem.startswith(problem)
    # The connection was not lost over it: nothing came twice, the consumer is the same.
    assert (good.message.body, good.delivery_count, good.problem) == (b"good", 0, None)
    assert subscription.ready
    await stage.until_ready(stage.first, 0)


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.fault("M2")
async def test_a_hostile_letter_can_be_taken_and_published_again(
    rabbit: RabbitServer, broker: RabbitMQBroker, case: str
) -> None:
    stage = await Stage.build(broker, NAMESPACE)
    dlx = stage.topology.names.letters(stage.service)
    await asyncio.to_thread(send, rabbit.url, dlx, stage.letters, HOSTILE[case][0])
    letter = await broker.get(stage.letters)
    assert letter is not None
    assert letter.problem
    await broker.publish(letter.message, ToQueue(stage.first))
    letter.ack()
    await stage.until_ready(stage.first, 1)


STOCK_CASES = [
    case for case in HOSTILE if case not in {"header value", "a table", "CC"}
]  # those three it reads, and we refuse


@pytest.mark.parametrize("case", STOCK_CASES)
def test_the_stock_decoder_still_needs_replacing(case: str) -> None:
    """Should pamqp learn to read these one day, this says so."""
    frame = struct.pack(">HHQ", commands.Basic.frame_id, 0, 4) + HOSTILE[case][0]
    offset, flags = header.ContentHeader._get_flags(frame[12:])
    stock = {"table": pamqp.decode.field_table, "shortstr": pamqp.decode.short_str}
    stock["timestamp"] = pamqp.decode.timestamp
    kinds = {
        "content_type": "shortstr",
        "headers": "table",
        "message_id": "shortstr",
        "timestamp": "timestamp",
    }
    [kind] = [kinds[name] for name in kinds if flags & commands.Basic.Properties.flags[name]]
    with pytest.raises((ValueError, OverflowError, OSError, RecursionError)):
        stock[kind](frame[12 + offset :])


def test_tables_are_read_down_to_the_limit() -> None:
    def depth_of(nested: bytes) -> int:
        frame = struct.pack(">HHQ", 60, 0, 0) + properties(HEADERS, table(entry(b"n", b"F", nested)))
        found: Any = content_header(frame).properties.headers
        depth = 0
        while isinstance(found, dict) and found:
            found, depth = found["n"], depth + 1
        return -depth if isinstance(found, Unreadable) else depth

    assert depth_of(nested_tables(DEPTH_LIMIT - 1)) == DEPTH_LIMIT
    assert depth_of(nested_tables(DEPTH_LIMIT)) == -(DEPTH_LIMIT + 1)
    assert depth_of(nested_tables(3000)) == -(DEPTH_LIMIT + 1)


@pytest.mark.parametrize(
    "broken",
    [
        properties(HEADERS, table(entry(b"n", b"?", b""))),
        properties(HEADERS, table(entry(b"n", b"S", struct.pack(">I", 99)))),
        properties(HEADERS, struct.pack(">I", 2**31) + b"x"),
        properties(0xFFFC, b"\x01"),
        properties(HEADERS, table(b"\xff")),
    ],
    ids=["unknown type", "long string too long", "table too long", "no values", "name too long"],
)
@pytest.mark.fault("M2")
def test_malformed_properties_never_raise(broken: bytes) -> None:
    """RabbitMQ does not let these through; another broker, or another version, might."""
    found = content_header(struct.pack(">HHQ", 60, 0, 7) + broken)
    assert found.body_size == 7
    assert found.properties.headers is not None
    assert isinstance(found.properties.headers["unreadable"], Unreadable)


def test_honest_headers_are_read_as_pamqp_reads_them() -> None:
    values: dict[str, Any] = {
        "text": "ü",
        "number": -(2**40),
        "small": 7,
        "yes": True,
        "none": None,
        "bytes": bytearray(b"\xff"),
        "list": [1, "a", {"b": False}],
        "table": {"a": {"b": [1.5]}},
    }
    marshalled = header.ContentHeader(properties=commands.Basic.Properties(headers=values)).marshal()
    ours, stock = content_header(marshalled), header.ContentHeader()
    stock.unmarshal(marshalled)
    assert ours.properties.headers == stock.properties.headers
    assert text(b"ab") == b"\0\0\0\2ab"
