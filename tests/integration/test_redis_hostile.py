"""What a server that is no Redis, falls silent, hangs up or says too much does to the commands on a wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from pavane.adapters.redis.nodes import connections, locate
from pavane.adapters.redis.wire import Wire, pack
from pavane.errors import StateUnavailable

HOST = "127.0.0.1"
TIMEOUT = 0.5
GREETING = 2
"""Commands with which redis-py introduces itself: the library's name and its version."""


class FakeRedis:
    """Answers the greeting; what follows on each connection is up to the test.

    `answer` gets the number of the connection, from one, and the word that was sent, and returns what goes back;
    `None` hangs up.
    """

    def __init__(self) -> None:
        self.answer: Callable[[int, bytes], bytes | None] = lambda connection, word: bulk(word)
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        self._listener = await asyncio.start_server(self._accept, HOST, 0)
        return f"redis://{HOST}:{self._listener.sockets[0].getsockname()[1]}/0"

    def say(self, unasked: bytes) -> None:
        """Send something to the newest connection that nobody has asked for."""
        self._writers[-1].write(unasked)

    def hang_up(self) -> None:
        self._writers[-1].close()

    async def close(self) -> None:
        self._listener.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        self._writers.append(writer)
        for _ in range(GREETING):
            await command(reader)
            writer.write(b"+OK\r\n")
        while words := await command(reader):
            answer = self.answer(number, words[-1])
            if answer is None:
                writer.close()
                return
            writer.write(answer)


async def command(reader: asyncio.StreamReader) -> list[bytes]:
    """The words of the next command; none at the end."""
    head = await reader.readline()
    words = []
    for _ in range(int(head[1:] or 0)):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


def bulk(word: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(word), word)


@pytest.fixture
async def server() -> AsyncIterator[FakeRedis]:
    server = FakeRedis()
    yield server
    await server.close()


@pytest.fixture
async def wire(server: FakeRedis) -> AsyncIterator[Wire]:
    wire = Wire(connections(locate(await server.open()), 5.0), timeout=TIMEOUT, connections=1)
    yield wire
    await wire.close()


async def ask(wire: Wire, word: bytes) -> bytes:
    return await wire.send(pack(b"ECHO", word))


@pytest.mark.parametrize(
    "garbled", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*-7\r\n", b":abc\r\n", b"\x00\xff"]
)
async def test_what_is_no_reply_ends_the_connection_and_no_other(
    server: FakeRedis, wire: Wire, garbled: bytes
) -> None:
    server.answer = lambda connection, word: garbled if connection == 1 and word == b"b" else bulk(word)
    answers = await asyncio.gather(*(ask(wire, word) for word in (b"a", b"b", b"c")), return_exceptions=True)
    assert answers[0] == b"a"
    assert [type(answer) for answer in answers[1:]] == [StateUnavailable, StateUnavailable]
    assert "speaks another protocol" in str(answers[1])
    assert await ask(wire, b"d") == b"d"
    assert server.connections == 2


@pytest.mark.fault("R7")
async def test_a_swallowed_reply_is_given_up_in_time_and_shifts_no_other(
    server: FakeRedis, wire: Wire
) -> None:
    server.answer = lambda connection, word: b"" if word == b"b" else bulk(word)
    started = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(ask(wire, word) for word in (b"a", b"b")), return_exceptions=True)
    assert asyncio.get_running_loop().time() - started < 2 * TIMEOUT
    assert answers[0] == b"a"
    assert "did not answer in time" in str(answers[1])
    assert await ask(wire, b"c") == b"c"
    assert server.connections == 2


async def test_a_caller_who_is_cancelled_leaves_his_reply_to_nobody(server: FakeRedis, wire: Wire) -> None:
    assert await ask(wire, b"a") == b"a"
    tasks = [asyncio.create_task(ask(wire, b"%d" % number)) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[1::2] == [b"%d" % number for number in range(1, 50, 2)]
    assert await ask(wire, b"b") == b"b"
    assert server.connections == 1


@pytest.mark.parametrize("unasked", [b"+surplus\r\n", b"$9\r\nsur", b"*1\r\n"])
async def test_what_was_said_unasked_is_nobodys_reply(server: FakeRedis, wire: Wire, unasked: bytes) -> None:
    assert await ask(wire, b"a") == b"a"
    server.say(unasked)
    await arrival(server)
    assert await ask(wire, b"b") == b"b"
    assert server.connections == 2


async def test_a_connection_closed_while_idle_fails_no_command(server: FakeRedis, wire: Wire) -> None:
    assert await ask(wire, b"a") == b"a"
    server.hang_up()
    await arrival(server)
    assert await ask(wire, b"b") == b"b"
    assert server.connections == 2


async def test_a_connection_that_ends_within_a_batch_fails_what_it_has_not_answered(
    server: FakeRedis, wire: Wire
) -> None:
    server.answer = lambda connection, word: None if connection == 1 and word == b"b" else bulk(word)
    answers = await asyncio.gather(*(ask(wire, word) for word in (b"a", b"b", b"c")), return_exceptions=True)
    assert answers[0] == b"a"
    assert [type(answer) for answer in answers[1:]] == [StateUnavailable, StateUnavailable]
    assert await ask(wire, b"d") == b"d"


async def test_a_big_reply_arrives_whole(server: FakeRedis, wire: Wire) -> None:
    big = bytes(range(256)) * 40_000
    answers = await asyncio.gather(ask(wire, b"a"), ask(wire, big), ask(wire, b"b"))
    assert list(answers) == [b"a", big, b"b"]


async def arrival(server: FakeRedis) -> None:
    """Wait until what the server has just sent was read here: another connection's bytes came after it."""
    reader, writer = await asyncio.open_connection(*server._listener.sockets[0].getsockname())
    writer.write(pack(b"a") + pack(b"b"))
    await reader.readexactly(len(b"+OK\r\n") * GREETING)
    server.connections -= 1
    writer.close()
