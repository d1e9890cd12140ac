"""The servers of the tests: they start with deploy/'s files, die by SIGKILL, come back with their data."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aio_pika
import psycopg
import pytest
import redis.asyncio
from pamqp.common import FieldTable

from tests.servers import KEEPS_ALL, PostgresServer, RabbitServer, RedisServer, ServerError, process_is_gone

QUORUM: FieldTable = {"x-queue-type": "quorum"}


async def publish(url: str, queue: str, body: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True, arguments=QUORUM)
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key=queue)


async def fetch(url: str, queue: str) -> bytes:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue, durable=True, arguments=QUORUM)
        async with declared.iterator(timeout=20) as messages:
            async for message in messages:
                await message.ack()
                return message.body
    raise AssertionError(f"nothing in {queue}")


async def test_rabbitmq_keeps_a_confirmed_message_over_a_kill() -> None:
    with RabbitServer() as server:
        beam, url = server.pid, server.url
        await publish(url, "kept", b"before the kill")
        server.settle("kept")
        server.kill()
        assert process_is_gone(beam)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
        server.start()
        assert server.url == url
        assert await fetch(url, "kept") == b"before the kill"


async def test_rabbitmq_runs_with_our_configuration_and_answers_rabbitmqctl() -> None:
    with RabbitServer(management=True, options={"consumer_timeout": "60000"}) as server:
        assert server.rabbitmqctl("eval", "application:get_env(rabbit, heartbeat).").strip() == "{ok,15}"
        assert (
            server.rabbitmqctl("eval", "application:get_env(rabbit, consumer_timeout).").strip()
            == "{ok,60000}"
        )
        listening = server.rabbitmqctl(
            "eval", "[element(4, L) || L <- rabbit_networking:active_listeners()]."
        )
        assert server.management_url.startswith("http://guest:guest@127.0.0.1:")
        assert "{0,0,0" not in listening
        with pytest.raises(ServerError, match="rabbitmqctl delete_vhost nowhere failed"):
            server.rabbitmqctl("delete_vhost", "nowhere")


async def test_redis_uses_the_deployed_configuration() -> None:
    with RedisServer() as server:
        async with redis.asyncio.from_url(server.url) as client:
            settings = await client.config_get("append*", "maxmemory-policy")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"


async def test_redis_keeps_an_acknowledged_write_over_a_kill() -> None:
    with RedisServer(options=KEEPS_ALL) as server:
        pid, url = server.pid, server.url
        async with redis.asyncio.from_url(url) as client:
            await client.set("kept", "before the kill")
        server.kill()
        assert process_is_gone(pid)
        server.start()
        async with redis.asyncio.from_url(server.url) as client:
            assert server.url == url
            assert await client.get("kept") == b"before the kill"


def test_postgresql_asks_for_a_password_keeps_its_data_and_leaves_nothing_behind() -> None:
    with PostgresServer() as server:
        database = server.new_database().replace("+psycopg", "")
        with psycopg.connect(database) as connection:
            connection.execute("create table kept (what text)")
        server.restart(kill=True)
        with psycopg.connect(database) as connection:
            assert connection.execute("select * from kept").fetchall() == []
            others = [pid for (pid,) in connection.execute("select pid from pg_stat_activity")]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(database, password="another")
        folder, processes = server.folder, [server.pid, *others]
    assert all(process_is_gone(pid) for pid in processes)
    assert not folder.exists()


async def test_the_session_servers_answer(
    rabbit: RabbitServer, redis_server: RedisServer, namespace: str
) -> None:
    await publish(rabbit.url, f"{namespace}.q", b"hello")
    assert await fetch(rabbit.url, f"{namespace}.q") == b"hello"
    async with redis.asyncio.from_url(redis_server.url) as client:
        assert await client.ping()


def test_a_frozen_server_answers_again_when_it_goes_on() -> None:
    with (
        RedisServer() as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as connection,
    ):
        server.freeze()
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(16)
        server.thaw()
        connection.settimeout(10)
        assert connection.recv(16) == b"+PONG\r\n"


def test_a_server_that_is_not_ours_cannot_be_stopped() -> None:
    server = RedisServer(url="redis://somewhere:6379/0")
    assert server.start().url == "redis://somewhere:6379/0"
    with pytest.raises(ServerError, match="not ours"):
        server.kill()


def test_a_server_that_cannot_start_says_why() -> None:
    server = RedisServer(options={"maxmemory-policy": "whatever"})
    with pytest.raises(ServerError, match="maxmemory-policy"):
        server.start()
    server.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_test_run_leaves_no_server_behind(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "test_waiting.py").write_text(
        "import time\n"
        "def test_waiting(redis_server):\n"
        "    print('pid', redis_server.pid, flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.1)\n"  # not signal.pause: a signal just before it would not be heard
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PAVANE_TEST_")}
    command = [sys.executable, "-m", "pytest", "-s", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    run = subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment)
    assert run.stdout is not None
    server = next(int(line.split()[-1]) for line in run.stdout if "pid " in line)
    assert not process_is_gone(server)
    run.send_signal(how)
    run.communicate(timeout=30)
    assert run.returncode != 0
    deadline = time.monotonic() + 10
    while not process_is_gone(server):
        assert time.monotonic() < deadline, "the server is still there"
