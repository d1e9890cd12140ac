"""`client.queues()`: what AMQP tells of the queues, on the pair in memory."""

from __future__ import annotations

from pavane.ports.broker import Message, ToQueue
from pavane.ports.store import Registration
from tests.unit.client.stage import WORKER, Stage


async def test_every_queue_of_a_registered_worker_is_counted_with_its_dead_letters() -> None:
    stage = await Stage.build()
    for order in ("1", "2"):
        await stage.start(order)
    await stage.die("orders:1")
    figures = {info.queue: info for info in await stage.client.queues()}
    assert list(figures) == [stage.queue, stage.names.undo_queue("stock", "reserve"), "t.intake.stock"]
    jobs, undo, intake = figures.values()
    assert (jobs.worker, jobs.ready, jobs.consumers, jobs.dead_letters) == (WORKER, 2, 0, 1)
    assert (undo.worker, undo.ready, undo.dead_letters) == (WORKER, 0, None)
    assert (intake.worker, intake.ready) == ("stock", 0)
    assert jobs.unacked is None, "AMQP does not tell"


async def test_an_undo_queue_and_an_intake_are_counted_too() -> None:
    stage = await Stage.build()
    for queue in (stage.names.undo_queue("stock", "reserve"), stage.names.intake("stock")):
        await stage.broker.publish(Message(b"{}"), ToQueue(queue))
    assert [info.ready for info in await stage.client.queues()] == [0, 1, 1]


async def test_a_registered_worker_without_queues_is_left_out() -> None:
    stage = await Stage.build()
    late = Registration(service="later", subscriptions={"later.on": ("clienttest.placed",)}, workflows={})
    await stage.store.register(late)
    assert {info.worker for info in await stage.client.queues()} == {WORKER, "stock"}
