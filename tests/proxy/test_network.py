"""What networks do: late, slow, in pieces, one way only, not at all, reset, refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.proxy import RedisProxy

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PING, PONG = b"PING\r\n", b"+PONG\r\n"
SOON = 0.3


async def connect(proxy: RedisProxy) -> Line:
    return await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2].partition("/")[0]))


@pytest.fixture
async def line(resp: RedisProxy) -> AsyncIterator[Line]:
    """A connection through the proxy that was used already."""
    reader, writer = await connect(resp)
    await asked((reader, writer), PING, PONG)
    yield reader, writer
    writer.transport.abort()


async def asked(line: Line, question: bytes, answer: bytes) -> float:
    """Seconds until the answer was there."""
    began = time.monotonic()
    line[1].write(question)
    assert await asyncio.wait_for(line[0].readexactly(len(answer)), 10) == answer
    return time.monotonic() - began


async def is_silent(line: Line) -> bool:
    try:
        await asyncio.wait_for(line[0].read(1), SOON)
    except TimeoutError:
        return True
    return False


async def test_latency_counts_both_ways_and_jitter_keeps_the_order(resp: RedisProxy, line: Line) -> None:
    resp.faults.latency, resp.faults.jitter = 0.1, 0.05
    assert 0.2 <= await asked(line, PING, PONG) < 1
    echoes = b"".join(b"$2\r\n%02d\r\n" % number for number in range(50))
    for number in range(50):
        line[1].write(b"ECHO %02d\r\n" % number)
        await asyncio.sleep(0.002)
    assert await asyncio.wait_for(line[0].readexactly(len(echoes)), 10) == echoes


async def test_a_narrow_line_takes_as_long_as_the_bytes_need(resp: RedisProxy, line: Line) -> None:
    text = b"x" * 2_000
    resp.faults.bytes_per_second = 10_000
    took = await asked(line, b"*2\r\n$4\r\nECHO\r\n$2000\r\n%b\r\n" % text, b"$2000\r\n%b\r\n" % text)
    assert 0.35 < took < 3


async def test_single_bytes_are_put_together_again(resp: RedisProxy, line: Line) -> None:
    resp.faults.piece = 1
    text = b"y" * 500
    await asked(line, b"*2\r\n$4\r\nECHO\r\n$500\r\n%b\r\n" % text, b"$500\r\n%b\r\n" % text)


async def test_a_line_that_passes_nothing_accepts_and_brings_all_when_it_is_healed(
    resp: RedisProxy, line: Line
) -> None:
    resp.stall()
    other = await connect(resp)
    for each in (line, other):
        each[1].write(PING)
        assert await is_silent(each)
    resp.heal()
    for each in (line, other):
        assert await asyncio.wait_for(each[0].readexactly(len(PONG)), 10) == PONG
    other[1].transport.abort()


@pytest.mark.fault("N1")
async def test_one_way_only_the_command_is_executed_and_nobody_hears_of_it(
    resp: RedisProxy, line: Line, namespace: str
) -> None:
    resp.stall(up=False)
    line[1].write(b"INCR %b\r\n" % namespace.encode())
    assert await is_silent(line)
    resp.heal()
    assert await asyncio.wait_for(line[0].readexactly(4), 10) == b":1\r\n"
    resp.stall(down=False)
    line[1].write(b"INCR %b\r\n" % namespace.encode())
    assert await is_silent(line)
    resp.reset()  # what was held on its way to the server is lost with the connection
    resp.heal()
    other = await connect(resp)
    await asked(other, b"INCR %b\r\n" % namespace.encode(), b":2\r\n")
    await asked(other, b"DEL %b\r\n" % namespace.encode(), b":1\r\n")
    other[1].transport.abort()


async def test_a_reset_is_one_for_both_sides(resp: RedisProxy, line: Line) -> None:
    resp.reset()
    with pytest.raises(ConnectionResetError):
        await line[0].read(1)


async def test_a_refused_connection_is_refused_and_those_that_stand_go_on(
    resp: RedisProxy, line: Line
) -> None:
    resp.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connect(resp)
    await asked(line, PING, PONG)
    resp.admit()
    other = await connect(resp)
    await asked(other, PING, PONG)
    other[1].transport.abort()
