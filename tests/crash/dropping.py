"""Deliveries that come back until RabbitMQ gives them up, as after twenty deployments."""

from __future__ import annotations

import aiormq

from tests.crash.stage import Stage, eventually


async def take_and_drop(stage: Stage, queue: str, times: int) -> None:
    """Be a process that dies with a message before it could say anything about it."""
    async with aiormq.connect(str(stage.settings.broker_url)) as connection:
        for _ in range(times):
            channel = await connection.channel()

            async def taken(channel: aiormq.abc.AbstractChannel = channel) -> bool:
                got = await channel.basic_get(queue)
                return isinstance(got.delivery, aiormq.spec.Basic.GetOk)

            await eventually(f"a message in {queue}", taken)
            await channel.close()
