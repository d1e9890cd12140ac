"""Replies reach those who asked, whoever was cancelled, and however slowly they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from redis.exceptions import ResponseError

from pavane.adapters.redis.nodes import connections, locate
from pavane.adapters.redis.wire import Wire, pack
from pavane.errors import StateUnavailable
from tests.servers import RedisServer

HOST = "127.0.0.1"
COMMANDS = 10_000


class SlowProxy:
    """Passes bytes on in small pieces and with pauses; `cut` drops all connections."""

    def __init__(self, server: RedisServer, random: Random) -> None:
        self._target = int(server.url.rsplit(":", 1)[1].split("/")[0])
        self._random = random
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> str:
        self._listener = await asyncio.start_server(self._accept, HOST, 0)
        return f"redis://{HOST}:{self._listener.sockets[0].getsockname()[1]}/0"

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        self._listener.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        self._writers += [writer, far_writer]
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, target))
            self._tasks.add(task)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(self._random.randint(1, 2_000)):
                await asyncio.sleep(self._random.choice((0, 0, 0.001)))
                target.write(piece)
        except ConnectionError:
            target.transport.abort()


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[SlowProxy]:
    proxy = SlowProxy(redis_server, Random(1))
    yield proxy
    await proxy.close()


@pytest.fixture
async def wire(proxy: SlowProxy) -> AsyncIterator[Wire]:
    wire = Wire(connections(locate(await proxy.open()), 5.0), timeout=20.0)
    yield wire
    await wire.close()


async def ask(wire: Wire, number: int) -> bool:
    """Whether the reply is the one to this very question."""
    return await wire.send(pack(b"ECHO", b"%d" % number)) == b"%d" % number


async def test_ten_thousand_cancelled_commands_never_shift_a_reply(wire: Wire) -> None:
    seed = int(time.time())
    print(f"seed {seed}")
    random, asked, right = Random(seed), 0, 0
    while asked < 2 * COMMANDS:
        tasks = [asyncio.create_task(ask(wire, asked + i)) for i in range(random.randint(1, 400))]
        asked += len(tasks)
        doomed = [task for task in tasks if random.random() < 0.5]
        for _ in range(random.randint(0, 4)):
            await asyncio.sleep(random.choice((0, 0, 0.002)))
            for task in doomed:
                if random.random() < 0.3:
                    task.cancel()
        for task in doomed:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        wrong = [answer for answer in answers if answer is not True and not cancelled(answer)]
        assert wrong == [], f"seed {seed}"
        right += sum(answer is True for answer in answers)
    assert right > COMMANDS / 2


def cancelled(answer: object) -> bool:
    return isinstance(answer, asyncio.CancelledError)


@pytest.mark.fault("N1")
async def test_a_cut_connection_fails_its_commands_and_no_others(wire: Wire, proxy: SlowProxy) -> None:
    failed = 0
    for round_ in range(20):
        tasks = [asyncio.create_task(ask(wire, 1_000 * round_ + i)) for i in range(300)]
        await asyncio.sleep(0.002)
        proxy.cut()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(answer) for answer in answers} <= {bool, StateUnavailable}
        assert False not in answers
        failed += sum(answer is not True for answer in answers)
        assert await ask(wire, round_)  # over a new connection
    assert failed


async def test_an_error_answers_its_own_command_only(wire: Wire) -> None:
    answers = await asyncio.gather(
        ask(wire, 1), wire.send(pack(b"NONSENSE")), ask(wire, 2), return_exceptions=True
    )
    assert answers[0] is True
    assert isinstance(answers[1], ResponseError)
    assert answers[2] is True


async def test_commands_of_one_turn_of_the_loop_go_out_together(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = connections(locate(redis_server.url), 5.0)
    made: list[Any] = []

    def connect() -> Any:
        made.append(make())
        return made[-1]

    wire = Wire(connect, timeout=5.0)
    assert all(await asyncio.gather(*(ask(wire, number) for number in range(100))))
    assert len(made) == 1
    sent: list[object] = []
    send = made[0].send_packed_command

    async def counted(command: object, check_health: bool = True) -> None:
        sent.append(command)
        await send(command, check_health)

    monkeypatch.setattr(made[0], "send_packed_command", counted)
    assert all(await asyncio.gather(*(ask(wire, number) for number in range(100))))
    assert len(sent) == 1
    await wire.close()


async def test_closing_answers_everybody(wire: Wire) -> None:
    tasks = [asyncio.create_task(ask(wire, number)) for number in range(1_000)]
    await asyncio.sleep(0)
    await wire.close()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StateUnavailable}
    with pytest.raises(StateUnavailable):
        await ask(wire, 1)
