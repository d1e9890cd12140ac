"""What is passed on unchanged, as bytes, and the little that is not."""

from __future__ import annotations

import struct

import pytest

from pavane.adapters.rabbitmq.decode import read_properties
from pavane.adapters.rabbitmq.marker import Marker, is_marker
from pavane.adapters.rabbitmq.unchanged import Unchanged, parts_of
from tests.integration.raw_amqp import HEADERS, HOSTILE, MESSAGE_ID, entry, properties, short, table

USER_ID = 0x0010
FRAME = bytes(4) + struct.pack(">Q", 7)
"""What stands before the properties in a header frame: class, weight, and the size of the body."""


@pytest.mark.parametrize("case", HOSTILE)
def test_what_nobody_can_read_stays_as_it_is(case: str) -> None:
    hostile, _ = HOSTILE[case]
    passed_on = Unchanged(FRAME + hostile, message_id="m1", user="mover")
    before, after = parts_of(FRAME + hostile), parts_of(FRAME + passed_on.marshal())
    assert after == before | {"message_id": short(b"m1")}
    assert read_properties(FRAME + passed_on.marshal())[1]["message_id"] == "m1"


def test_the_user_is_whoever_passes_it_on() -> None:
    """RabbitMQ refuses any other, and writes the count of deliveries anew, whatever is there."""
    headers = table(entry(b"x-delivery-count", b"l", struct.pack(">q", 3)))
    sent = FRAME + properties(HEADERS | USER_ID, headers, short(b"sender"))
    passed_on = Unchanged(sent, message_id="m1", user="mover").marshal()
    assert passed_on == properties(HEADERS | MESSAGE_ID | USER_ID, headers, short(b"m1"), short(b"mover"))
    unknown = Unchanged(sent, message_id="m1", user=None).marshal()
    assert unknown == properties(HEADERS | MESSAGE_ID, headers, short(b"m1"))


def test_a_marker_is_known_and_nothing_else_is_one() -> None:
    _, found = read_properties(FRAME + Marker("m1").marshal())
    assert is_marker(found, b"")
    assert not is_marker(found, b"a job")
    assert not is_marker({"message_type": "order.placed"}, b"")
    assert not is_marker({}, b"")
