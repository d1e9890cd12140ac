"""Bad messages to a worker on real servers: each becomes a dead letter with its code, and the worker goes on.

One process takes all of them, one after the other, over one connection: docs/bad-input.md is the list.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.bad_input.case import HANDLED
from tests.bad_input.messages import GROUPS, LIMIT, Arrival
from tests.bad_input.wire import message_properties
from tests.integration.bad_input_floor import Floor, open_floor
from tests.servers import RabbitServer, RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ARRIVALS = [case for group in GROUPS for case in group.cases if isinstance(case, Arrival)]


def another(case: Arrival) -> Arrival:
    """The same case as a message of its own: one that is alike in everything would be taken for a duplicate."""
    return replace(case, event_id=f"{case.event_id}-again", body=b" " + case.body)


REDRIVEN = (
    ARRIVALS[0],
    next(case for case in ARRIVALS if case.code == "too_large"),
    next(case for case in ARRIVALS if case.properties),
    next(case for case in ARRIVALS if case.code == "unknown_run"),
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def floor(rabbit: RabbitServer, redis_server: RedisServer) -> AsyncIterator[Floor]:
    async with open_floor(rabbit.url, redis_server.url) as floor:
        yield floor


@pytest.mark.parametrize("case", [c for c in ARRIVALS if c.code != HANDLED], ids=lambda case: case.what)
@pytest.mark.fault("M1", "M2", "M3")
async def test_a_bad_message_becomes_a_letter_and_the_worker_goes_on(floor: Floor, case: Arrival) -> None:
    await floor.throw(floor.queue("door.hear"), case.wire(), case.body)
    letter = await floor.only_letter()
    assert (letter.reason, letter.worker, letter.attempts) == (case.code, "door.hear", [])
    assert case.says in (letter.error or "")
    assert (letter.error or "").isprintable()
    if case.code in ("undecodable", "too_large"):
        assert base64.b64decode(letter.raw or "") == case.body[:LIMIT]
    assert await floor.body_in_queue(letter) == case.body
    await floor.goes_on()
    await floor.discard(letter)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.fault("M2")
async def test_rabbitmq_itself_refuses_a_header_that_is_no_number(floor: Floor, number: float) -> None:
    with pytest.raises(AssertionError, match=r"Connection\.Close"):
        await floor.throw(floor.queue("door.hear"), message_properties({"number": number}), b"{}")
    await floor.goes_on()
    assert await floor.client.dead_letters.list().count() == 0


@pytest.mark.parametrize("case", [c for c in ARRIVALS if c.code == HANDLED], ids=lambda case: case.what)
@pytest.mark.fault("M2")
async def test_what_only_looks_bad_is_handled(floor: Floor, case: Arrival) -> None:
    await floor.throw(floor.queue("door.hear"), case.wire(), case.body)
    await floor.heard(case.event_id)
    await floor.goes_on()
    assert await floor.client.dead_letters.list().count() == 0


@pytest.mark.fault("M1")
async def test_a_letter_of_bad_bytes_can_be_redriven_and_dies_again(floor: Floor) -> None:
    """The operator's tools get through a queue with such letters, and lose none."""
    for case in map(another, REDRIVEN):
        await floor.throw(floor.queue("door.hear"), case.wire(), case.body)
        letter = await floor.only_letter()
        await floor.body_in_queue(letter)
        await floor.nothing_is_left()
        report = await floor.client.dead_letters.redrive(letter.id, reason="let us see")
        assert report.done == 1, report
        again = await floor.only_letter()
        assert again.reason in (case.code, "undecodable")  # an unreadable header does not come back
        assert await floor.body_in_queue(again) == case.body
        await floor.goes_on()
        await floor.discard(again)


async def test_a_letter_leaves_out_headers_that_would_not_fit_beside_its_own(floor: Floor) -> None:
    [frame] = [another(case) for case in ARRIVALS if "nearly fill a frame" in case.what]
    await floor.throw(floor.queue("door.hear"), frame.wire(), frame.body)
    letter = await floor.only_letter()
    assert len(letter.headers["long"]) == 130_000  # in the index
    assert await floor.body_in_queue(letter) == frame.body
    report = await floor.client.dead_letters.redrive(letter.id, reason="without that header")
    assert report.done == 1, report
    await floor.heard(frame.event_id)
    await floor.goes_on()
