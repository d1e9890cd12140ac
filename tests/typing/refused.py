"""Calls that type checkers have to refuse: every line marked `error`, and no other. Never run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from accepted import Charged, Confirmed, Placed, Reserved, Stock, Unavailable, inventory, orders, payments

from pavane import Client, Context, NotNow, Reject, RetryPolicy, Service, UndoContext, Workflow


@inventory.queue_worker("wrong_resources")  # error
async def wrong_resources(ctx: Context[int], event: Placed) -> None: ...


@payments.queue_worker("no_such_resources")  # error
async def no_such_resources(ctx: Context[Stock], event: Placed) -> None: ...


@inventory.queue_worker("wrong_result_of_a_join").on_all(Reserved, Charged)  # error
async def wrong_result_of_a_join(ctx: Context[Stock], a: Reserved, b: Charged) -> list[str]:
    return []


@inventory.queue_worker("wrong_result")  # error
async def wrong_result(ctx: Context[Stock], event: Placed) -> dict[str, int]:
    return {}


@inventory.queue_worker("wrong_result_in_a_thread")  # error
def wrong_result_in_a_thread(ctx: Context[Stock], event: Placed) -> str:
    return ""


async def undo_with_context(ctx: Context[Stock], event: Placed) -> None: ...


async def undo_of_others(ctx: UndoContext[int], event: Placed) -> None: ...


async def undo_that_returns(ctx: UndoContext[Stock], event: Placed) -> Confirmed:
    return Confirmed(order_id="")


worker = inventory.queue_worker("settings")
worker.compensate_with(undo_with_context)  # error
worker.compensate_with(undo_of_others)  # error
worker.compensate_with(undo_that_returns)  # error
worker.compensate_with(uncertain=False)  # error
worker.retry(RetryPolicy(), max_attempts=3)  # error
worker.retry(attempts=3)  # error
worker.retry(jitter_mode="some")  # error
worker.retry(on=[int])  # error
worker.lease(seconds=3)  # error
worker.lease("30")  # error
worker.timeout(5, steps=6)  # error
worker.on(Stock)  # error
worker.on_all(Reserved, Stock)  # error
worker.on_all([Reserved, Charged])  # error
worker.emits("order.placed")  # error
worker.on_exhausted("stal")  # error
worker.on_exhausted(lambda event, failure: "declined")  # error
worker.dead_letters(10)  # error
worker.prefetch("8")  # error
worker.rate_limit("10")  # error
worker.rate_limit(10, 60)  # error

# What this version does not have yet is no call.
worker.gate(approvers=["somebody"])  # error
worker.gathers(Reserved, ok=Charged)  # error

Workflow("x", starts_with=Placed, run_id=lambda event: event.nope, completes_with=[Confirmed])  # error
Workflow("x", starts_with=Placed, run_id=lambda event: 5, completes_with=[Confirmed])  # error
Workflow("x", completes_with=[Confirmed])  # error
Workflow("x", starts_with=Stock, completes_with=[Confirmed])  # error
Workflow("x", starts_with=Placed, completes_with=[Stock])  # error
Workflow("x", starts_with=Placed, completes_with=[Confirmed], undo="backwards")  # error
Service("x", lifespan=Stock)  # error
NotNow("a delay is needed")  # error
Reject()  # error
RetryPolicy(5)  # error
RetryPolicy(max_attempt=5)  # error


async def inside(ctx: Context[Stock], undo: UndoContext[Stock], event: Placed) -> None:
    ctx.emit("typing.placed")  # error
    ctx.after("1 day", event)  # error
    ctx.after(5, event, "key")  # error
    ctx.attempt = 3  # error
    ctx.fan_out([event])  # error
    ctx.data["a"] = 1  # error
    ctx.data.set(a=object())  # error
    await ctx.resources.reserv("key", [])  # error
    undo.emit(event)  # error
    result: Unavailable = Reserved(order_id="1", reservation="r")  # error
    print(result)


async def outside(client: Client) -> None:
    await client.start(orders, Charged(order_id="1", payment="p"))  # error
    await client.start(orders)  # error
    client.run(orders)  # error
    client.run("orders:1", "1")  # error
    charged: Charged = await client.run(orders, "1").result()  # error
    print(charged)
    client.runs(statuses="running")  # error
    client.dead_letters.list(workers="a.b")  # error
    await client.dead_letters.redrive(then="leave")  # error
    await client.dead_letters.discard(rate=5)  # error
    await client.dead_letters.discard(then="forget")  # error
    handle = client.run("orders:1")
    await handle.cancel()  # error
    await handle.cancel("no", False)  # error
    await handle.pause()  # error
    await handle.resume("a reason")  # error
    await handle.compensate(reason=5)  # error
    await handle.skip("a.b:1", "typing.charged", reason="paid")  # error
    await handle.skip("a.b:1", Charged(order_id="1", payment="p"))  # error
    await handle.move_deadline(timedelta(days=1), reason="late")  # error
    await handle.move_deadline(datetime(2030, 1, 1, tzinfo=UTC))  # error
    client.gates()  # error
