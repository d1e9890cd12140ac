"""Each kind of fault. When one returns, it is over: whoever died has a successor that is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random

import redis

from tests.chaos.storm.field import CALM_WATERMARK, Field
from tests.chaos.storm.plan import Kind

Fault = Callable[[Field, Random, float], Awaitable[None]]

LOST_FOR = 2.0
REPEATED_FOR = 3.0
REPEATED = 0.1
CLOGGED_EVERY = 0.3
MOST_PAUSED = 5.0


async def kill_worker(field: Field, random: Random, longest: float) -> None:
    await field.victim(random).kill()


async def freeze_worker(field: Field, random: Random, longest: float) -> None:
    await field.victim(random).freeze(random.uniform(1, longest))


async def replace_worker(field: Field, random: Random, longest: float) -> None:
    field.replaced_in.append(await field.victim(random).replace())


async def rolling_restart(field: Field, random: Random, longest: float) -> None:
    for replica in field.replicas:
        field.replaced_in.append(await replica.replace())


async def kill_broker(field: Field, random: Random, longest: float) -> None:
    async with field.broker_busy:
        await asyncio.to_thread(field.rabbit.restart, kill=True)


async def broker_alarm(field: Field, random: Random, longest: float) -> None:
    """Short of memory: it reads nothing from connections that publish."""
    async with field.broker_busy:
        await field.set_watermark("absolute", "1MB")
        try:
            await asyncio.sleep(random.uniform(1, min(longest, 8)))
        finally:
            await field.set_watermark(*CALM_WATERMARK)


async def kill_redis(field: Field, random: Random, longest: float) -> None:
    async with field.store_busy:
        await asyncio.to_thread(field.redis.restart, kill=True)


async def pause_redis(field: Field, random: Random, longest: float) -> None:
    async with field.store_busy:
        seconds = random.uniform(1, min(longest, MOST_PAUSED))
        await asyncio.to_thread(pause, field.redis.url, round(seconds * 1000))
        await asyncio.sleep(seconds)


def pause(url: str, milliseconds: int) -> None:
    with redis.Redis.from_url(url) as client:
        client.client_pause(milliseconds)


async def lose_confirms(field: Field, random: Random, longest: float) -> None:
    for proxy in field.amqp_proxies:
        proxy.faults.lose_confirms = True
    try:
        await asyncio.sleep(LOST_FOR)
    finally:
        for proxy in field.amqp_proxies:
            proxy.faults.lose_confirms = False


async def lose_replies(field: Field, random: Random, longest: float) -> None:
    """Every script that runs in this time has run, and nobody hears of it."""
    for proxy in field.redis_proxies:
        proxy.faults.lose_replies = frozenset({"*"})
    try:
        await asyncio.sleep(LOST_FOR)
    finally:
        for proxy in field.redis_proxies:
            proxy.faults.lose_replies = frozenset()


async def repeat_deliveries(field: Field, random: Random, longest: float) -> None:
    for proxy in field.amqp_proxies:
        proxy.faults.repeat_deliveries, proxy.faults.repeat_after = REPEATED, random.uniform(0, 2)
    try:
        await asyncio.sleep(REPEATED_FOR)
    finally:
        for proxy in field.amqp_proxies:
            proxy.faults.repeat_deliveries = 0.0


async def ruin_channel(field: Field, random: Random, longest: float) -> None:
    """The broker ends the channel of one consumer, with all that was unacknowledged on it."""
    while not field.victim(random).amqp.ruin_channel():  # noqa: ASYNC110 - it may have no consumer just now
        await asyncio.sleep(CLOGGED_EVERY)


async def cut_worker(field: Field, random: Random, longest: float) -> None:
    """One process is cut off from RabbitMQ, from Redis or from both, in one direction."""
    replica = field.victim(random)
    proxies = random.choice([replica.proxies, (replica.amqp,), (replica.redis,)])
    up = random.random() < 0.5
    for proxy in proxies:
        proxy.stall(up=up, down=not up)
    try:
        await asyncio.sleep(random.uniform(1, longest))
    finally:
        for proxy in proxies:
            proxy.stall(up=False, down=False)


async def swizzle(field: Field, random: Random, longest: float) -> None:
    """Everybody is clogged, one by one, and released in another order."""
    replicas = random.sample(field.replicas, len(field.replicas))
    for replica in replicas:
        for proxy in replica.proxies:
            proxy.stall()
        await asyncio.sleep(random.uniform(0, CLOGGED_EVERY * longest / 2))
    for replica in random.sample(replicas, len(replicas)):
        for proxy in replica.proxies:
            proxy.stall(up=False, down=False)
        await asyncio.sleep(random.uniform(0, CLOGGED_EVERY * longest / 2))


FAULTS: Mapping[Kind, Fault] = {
    "kill_worker": kill_worker,
    "freeze_worker": freeze_worker,
    "replace_worker": replace_worker,
    "kill_broker": kill_broker,
    "broker_alarm": broker_alarm,
    "lose_confirms": lose_confirms,
    "kill_redis": kill_redis,
    "pause_redis": pause_redis,
    "lose_replies": lose_replies,
    "cut_worker": cut_worker,
    "repeat_deliveries": repeat_deliveries,
    "ruin_channel": ruin_channel,
    "rolling_restart": rolling_restart,
    "swizzle": swizzle,
}
