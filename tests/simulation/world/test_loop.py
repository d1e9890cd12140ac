"""Time that jumps, an order drawn from a seed, and machines that get no turn."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from tests.simulation.world.loop import NeverEnds, Owner, WorldLoop


def play(work: Coroutine[Any, Any, Any], seed: int = 1) -> WorldLoop:
    loop = WorldLoop(Random(seed))
    loop.run_until_complete(work)
    loop.bury()
    return loop


def test_a_year_of_waiting_takes_no_time_and_nothing_is_early() -> None:
    woke: list[float] = []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woke.append(asyncio.get_running_loop().time())

    async def all_of_them() -> None:
        await asyncio.gather(*(sleeper(seconds) for seconds in (86_400 * 365, 3, 1, 2)))

    assert play(all_of_them()).time() == 86_400 * 365
    assert woke == [1, 2, 3, 86_400 * 365]


def test_what_is_ready_at_once_comes_in_an_order_of_the_seeds() -> None:
    def order(seed: int) -> str:
        said: list[str] = []

        async def say(what: str) -> None:
            await asyncio.sleep(1)
            said.append(what)

        async def all_of_them() -> None:
            await asyncio.gather(*map(say, "abcdef"))

        play(all_of_them(), seed)
        return "".join(said)

    assert order(1) == order(1)
    assert len({order(seed) for seed in range(20)}) > 10


def test_who_is_frozen_gets_its_turns_later_and_who_is_dead_never() -> None:
    said: list[tuple[str, float]] = []
    frozen, dead = Owner("frozen"), Owner("dead")

    async def talk(name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            said.append((name, asyncio.get_running_loop().time()))

    async def both() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WorldLoop)
        talking = [loop.create_task(talk(one.name), context=one.context) for one in (frozen, dead)]
        await asyncio.sleep(1.5)
        frozen.frozen, dead.alive = True, False
        await asyncio.sleep(10)
        loop.thaw(frozen)
        await asyncio.sleep(10)
        assert [task.done() for task in talking] == [True, False]

    play(both())
    assert sorted(said) == [("dead", 1.0), ("frozen", 1.0), ("frozen", 11.5), ("frozen", 12.5)]


def test_what_waits_for_nothing_or_never_rests_is_told() -> None:
    async def wait_for_nothing() -> None:
        await asyncio.get_running_loop().create_future()

    async def never_rest() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        await loop.create_future()

    for work, why in ((wait_for_nothing, "nothing is left to wait for"), (never_rest, "turns at 0.000 s")):
        with pytest.raises(NeverEnds, match=why):
            WorldLoop(Random(1)).run_until_complete(work())
