"""The ten steps of the page about determinism, on real servers, with a real process that dies at the seventh."""

from __future__ import annotations

import signal
from pathlib import Path

from pavane import Client, Settings
from tests.crash.workers import WorkerProcess
from tests.docs.pages import ROOT, blocks
from tests.servers import RabbitServer, RedisServer

PAGE = ROOT / "docs" / "no-determinism-rules.md"
RECEIVED = '{"title": "Metropolis"}'
STEPS = (
    *("probe", "store", "split", "transcode", "subtitle", "picture"),
    *("encrypt", "upload", "catalogue", "publish"),
)


async def test_six_steps_are_handled_once_and_the_seventh_twice(
    rabbit: RabbitServer, redis_server: RedisServer, namespace: str, tmp_path: Path
) -> None:
    [films] = [block for block in blocks(PAGE) if block.file == "films.py"]
    (tmp_path / films.file).write_text(films.code)
    environment = {
        "PYTHONPATH": str(tmp_path),
        "PAVANE_BROKER_URL": rabbit.url,
        "PAVANE_STATE_URL": redis_server.url,
        "PAVANE_NAMESPACE": namespace,
    }
    words = ("run", "films:app")
    victim = WorkerProcess(environment | {"PAVANE_CRASH": "handler:7"}, *words, module="pavane.cli")
    settings = Settings(broker_url=rabbit.url, state_url=redis_server.url, namespace=namespace)
    async with victim, Client(settings) as client:
        start = ("start", "film_preparation", "--app", "films:app", "--payload", RECEIVED)
        starter = await WorkerProcess(environment, *start, module="pavane.cli").launch()
        assert await starter.ended() == 0
        await starter.close()
        assert await victim.ended() == -signal.SIGKILL
        run = client.run("film_preparation:Metropolis")
        assert [step.status for step in await run.steps().all()] == ["committed"] * 6 + ["running"]
        async with WorkerProcess(environment, *words, module="pavane.cli"):
            assert (await run.wait(60)).status == "completed"
            steps = await run.steps().all()
    attempts = {step.worker: len(step.attempts) for step in steps}
    assert attempts == {f"films.{name}": 2 if name == "encrypt" else 1 for name in STEPS}
