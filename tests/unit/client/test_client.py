"""Starting, emitting, looking and waiting, on the pair in memory."""

from __future__ import annotations

import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest

from pavane import (
    ActionRefused,
    App,
    BrokerUnavailable,
    Client,
    Context,
    Event,
    Reject,
    RunFailed,
    RunNotFound,
    Service,
    Settings,
    SettingsError,
    TooLarge,
    UsageError,
    Workflow,
)
from pavane.client import tracing
from pavane.core.calls import Commit
from pavane.core.identity import digest
from pavane.core.record import EventRow
from pavane.ports.store import Registration
from tests.unit.client.stage import Confirmed, Placed, Refused, Stage, orders


@pytest.fixture
async def stage() -> Stage:
    return await Stage.build()


async def commit(stage: Stage, run: str, event: Event) -> None:
    """The worker's part: one step that ends with `event`."""
    granted = await stage.begin(run)
    [step] = (await stage.record(run)).steps
    row = EventRow(
        id=f"{run}/out",
        name=type(event).event_name,
        version=1,
        time=stage.clock.now(),
        payload=event.model_dump_json().encode(),
        producer="stock.reserve",
    )
    await stage.store.commit(Commit(record=run, step=step, token=granted.token, result=row.id, events=(row,)))


# start


async def test_start_records_the_run_and_publishes_its_event(stage: Stage) -> None:
    handle = await stage.client.start(orders, Placed(order="1"))
    assert (handle.run, handle.workflow, handle.run_id, handle.created) == ("orders:1", "orders", "1", True)
    [message] = await stage.empty(stage.queue)
    assert message.body == b'{"order":"1"}'
    assert message.headers["pavane-run"] == "orders:1"
    record = await stage.record("orders:1")
    assert uuid.UUID(record.head.start_event).version == 7
    assert record.head.contract is not None
    assert record.head.contract.completes == (Confirmed.event_name,)
    assert record.head.start_digest == digest(message.body)
    assert record.history[0].by == "tester"


async def test_starting_again_attaches_and_a_different_payload_is_recorded(stage: Stage) -> None:
    class Other(Event, name="clienttest.other"):
        order: str
        note: str = ""

    flow = Workflow("flow", starts_with=Other, run_id=lambda e: e.order, completes_with=[Confirmed])
    await stage.client.start(flow, Other(order="1"))
    again = await stage.client.start(flow, Other(order="1"))
    other = await stage.client.start(flow, Other(order="1", note="x"))
    assert (again.created, other.created) == (False, False)
    kinds = [line.kind for line in await again.history().all()]
    assert [kind for kind in kinds if kind != "unrouted"] == ["run_started", "start_repeated", "conflict"]


async def test_a_run_without_a_run_id_is_named_by_its_event(stage: Stage) -> None:
    flow = Workflow("loose", starts_with=Placed, completes_with=[Confirmed])
    handle = await stage.client.start(flow, Placed(order="1"))
    assert handle.run_id == (await stage.record(handle.run)).head.start_event


async def test_start_refuses_what_cannot_start_the_run(stage: Stage) -> None:
    with pytest.raises(UsageError, match="starts with Placed"):
        await stage.client.start(orders, Confirmed(order="1"))  # type: ignore[misc]
    with pytest.raises(UsageError, match="no run id"):
        await stage.client.start(orders, Placed(order="a b"))
    with pytest.raises(UsageError, match="attributes"):
        await stage.client.start(orders, Placed(order="1"), attributes={"a": 1})


async def test_an_event_too_large_to_send_is_refused_before_anything_is_recorded(stage: Stage) -> None:
    settings = Settings(namespace="t", max_body=20)
    client = Client.over(stage.store, stage.broker, settings=settings, clock=stage.clock)
    flow = Workflow("large", starts_with=Placed, run_id=lambda e: "1", completes_with=[Confirmed])
    with pytest.raises(TooLarge):
        await client.start(flow, Placed(order="x" * 30))
    assert await stage.store.read("large:1") is None


async def test_start_returns_although_the_broker_is_away_and_leaves_the_row_to_the_relay(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.broker.down = True
    handle = await stage.client.start(orders, Placed(order="1"))
    assert handle.created
    record = await stage.record("orders:1")
    assert list(record.outbox) == [record.head.start_event]
    assert "relay" in caplog.text


async def test_a_run_goes_on_with_the_trace_that_its_caller_stands_in(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    carried = {"traceparent": parent, "tracestate": "a=b", "baggage": "c=d"}
    monkeypatch.setattr(tracing, "_propagate", lambda: SimpleNamespace(inject=lambda to: to.update(carried)))
    await stage.client.start(orders, Placed(order="1"))
    [message] = await stage.empty(stage.queue)
    assert carried.items() <= message.headers.items()
    monkeypatch.setattr(tracing, "_propagate", lambda: None)
    await stage.client.emit(Placed(order="2"))
    [message] = await stage.empty(stage.queue)
    assert not carried.keys() & message.headers.keys()


# emit


async def test_an_event_outside_runs_is_published_under_a_new_id(stage: Stage) -> None:
    first, second = [await stage.client.emit(Placed(order="1")) for _ in range(2)]
    assert first != second
    messages = await stage.empty(stage.queue)
    assert [message.headers["cloudEvents_id"] for message in messages] == [first, second]
    assert "pavane-run" not in messages[0].headers


async def test_an_idempotency_key_always_gives_the_same_event_id(stage: Stage) -> None:
    first, second = [await stage.client.emit(Placed(order="1"), idempotency_key="k") for _ in range(2)]
    assert first == second != await stage.client.emit(Placed(order="1"), idempotency_key="l")


async def test_an_event_nobody_wants_is_fine_but_a_missing_queue_is_not(stage: Stage) -> None:
    await stage.client.emit(Refused(order="1"))
    registration = Registration(
        service="mail", subscriptions={"mail.send": (Refused.event_name,)}, workflows={}
    )
    await stage.store.register(registration)
    with pytest.raises(BrokerUnavailable, match="registered"):
        await stage.client.emit(Refused(order="1"))


async def test_an_event_outside_runs_that_is_not_confirmed_raises(stage: Stage) -> None:
    stage.broker.down = True
    with pytest.raises(BrokerUnavailable):
        await stage.client.emit(Placed(order="1"))


async def test_an_event_into_a_run_is_recorded_and_can_end_it(stage: Stage) -> None:
    handle = await stage.client.start(orders, Placed(order="1"))
    event_id = await stage.client.emit(Confirmed(order="1"), run=handle)
    record = await stage.record(handle.run)
    assert (record.head.phase, record.head.end_event) == ("completed", event_id)
    with pytest.raises(ActionRefused, match="completed"):
        await stage.client.emit(Refused(order="1"), run="orders:1")
    with pytest.raises(RunNotFound):
        await stage.client.emit(Refused(order="1"), run="orders:2")
    with pytest.raises(UsageError):
        await stage.client.emit(Refused(order="1"), run="no run")


async def test_what_has_no_name_of_its_own_is_not_emitted(stage: Stage) -> None:
    class Nameless(Event):
        order: str

    with pytest.raises(UsageError, match="Nameless"):
        await stage.client.emit(Nameless(order="1"))


# looking


async def test_a_run_is_named_in_full_or_by_workflow_and_id(stage: Stage) -> None:
    assert stage.client.run("orders:1").run == stage.client.run(orders, "1").run == "orders:1"
    assert stage.client.run(workflow=orders, run_id="1").run_id == stage.client.run(run="orders:1").run_id
    for name in ("orders", "orders:a b", "Orders:1", ""):
        with pytest.raises(UsageError):
            stage.client.run(name)
    with pytest.raises(UsageError):
        stage.client.run(orders, "a/b")


async def test_a_run_that_does_not_exist_is_not_found(stage: Stage) -> None:
    handle = stage.client.run("orders:none")
    for ask in (handle.status, handle.wait, handle.result, handle.steps().all, handle.history().all):
        with pytest.raises(RunNotFound):
            await ask()
    with pytest.raises(RunNotFound):
        await anext(aiter(handle.watch()))


async def test_runs_are_listed_latest_first_page_by_page(stage: Stage) -> None:
    for order in "abcde":
        await stage.start(order)
    await stage.client.emit(Confirmed(order="b"), run="orders:b")
    runs = stage.client.runs()
    first = await runs.page(limit=2)
    assert [run.run for run in first.items] == ["orders:e", "orders:d"]
    await stage.start("f")
    second = await runs.page(limit=2, cursor=first.cursor)
    third = await runs.page(limit=2, cursor=second.cursor)
    assert [run.run_id for run in [*second.items, *third.items]] == ["c", "b", "a"]
    assert third.cursor is None
    assert [run.run_id for run in await stage.client.runs(order_by="started_at").all()] == [*"abcdef"]
    assert await stage.client.runs(status="completed").count() == 1
    assert [run.run_id async for run in stage.client.runs(status=["completed"], workflow="orders")] == ["b"]
    assert await stage.client.runs(workflow="other").all() == []
    assert await stage.client.runs(waiting_for="timer").count() == 0


async def test_what_runs_cannot_be_listed_by_is_refused(stage: Stage) -> None:
    with pytest.raises(UsageError, match="none of running"):
        stage.client.runs(status="done")
    with pytest.raises(UsageError, match="cannot do that yet"):
        stage.client.runs(where={"amount__gte": 5})
    with pytest.raises(UsageError, match="cannot do that yet"):
        stage.client.runs(order_by="amount")
    with pytest.raises(UsageError, match="cursor"):
        await stage.client.runs().page(cursor="?")
    with pytest.raises(UsageError, match="1000"):
        await stage.client.runs().page(limit=0)


async def test_what_is_not_there_yet_is_refused_by_name(stage: Stage) -> None:
    for ask in (stage.client.gates, stage.client.breakers, stage.client.schedules):
        with pytest.raises(UsageError, match="cannot do that yet"):
            ask()  # type: ignore[operator]


# waiting


async def test_waiting_looks_ever_less_often_until_the_run_has_ended(stage: Stage) -> None:
    handle = await stage.client.start(orders, Placed(order="1"))

    def end_after_ten() -> None:
        if len(stage.clock.sleeps) == 10:
            record = stage.store._records["orders:1"]
            record.head.phase = "cancelled"

    stage.clock.asleep = end_after_ten
    assert (await handle.wait()).status == "cancelled"
    assert stage.clock.sleeps == [50, 100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000]


async def test_waiting_ends_at_its_timeout(stage: Stage) -> None:
    handle = await stage.client.start(orders, Placed(order="1"))
    before = stage.clock.time
    with pytest.raises(TimeoutError, match="running"):
        await handle.wait(timedelta(seconds=2))
    assert stage.clock.time - before == 2000


async def test_the_result_is_the_completing_event(stage: Stage) -> None:
    handle = await stage.client.start(orders, Placed(order="1"))
    await commit(stage, handle.run, Confirmed(order="1"))
    assert await handle.result() == Confirmed(order="1")
    raw = await stage.client.run("orders:1").result()
    assert (raw.name, raw.version, raw.payload) == (Confirmed.event_name, 1, {"order": "1"})


async def test_another_end_than_completed_has_no_result(stage: Stage) -> None:
    handle = await stage.client.start(orders, Placed(order="1"))
    await commit(stage, handle.run, Refused(order="1"))
    with pytest.raises(RunFailed, match=r"clienttest\.refused") as failed:
        await handle.result()
    assert (failed.value.status, failed.value.run) == ("failed", "orders:1")


async def test_watching_gives_every_line_once_until_the_end(stage: Stage) -> None:
    handle = await stage.client.start(orders, Placed(order="1"))
    seen: list[str] = []
    async for line in handle.watch():
        seen.append(line.kind)
        if line.kind == "run_started":
            await commit(stage, handle.run, Confirmed(order="1"))
    assert seen == ["run_started", "step_started", "step_committed", "event_emitted", "completed"]
    await stage.client.start(orders, Placed(order="1"))  # one more line, after the end
    lines = (await handle.history().all())[:-1]
    assert [line.seq async for line in handle.watch(after=lines[1].seq)] == [line.seq for line in lines[2:]]
    assert [line.kind async for line in handle.watch(after=lines[-1].seq)] == ["start_repeated"]


async def test_steps_are_listed_in_order_and_filtered(stage: Stage) -> None:
    handle = await stage.client.start(orders, Placed(order="1"))
    await commit(stage, handle.run, Confirmed(order="1"))
    [step] = await handle.steps().all()
    assert (step.worker, step.status, step.attempt, step.host) == ("stock.reserve", "committed", 1, "host:1")
    assert step.result is not None
    assert step.result.payload == {"order": "1"}
    assert await handle.steps(status="dead").count() == 0
    assert await handle.steps(worker="stock.reserve").count() == 1


# connecting


async def test_without_urls_there_is_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAVANE_BROKER_URL", raising=False)
    monkeypatch.delenv("PAVANE_STATE_URL", raising=False)
    with pytest.raises(SettingsError, match="PAVANE_BROKER_URL and PAVANE_STATE_URL not set"):
        async with Client(Settings()):
            raise AssertionError
    with pytest.raises(UsageError, match="not connected"):
        Client(Settings()).run("orders:1")


async def test_a_run_through_an_embedded_app_is_mended_and_ends() -> None:
    broken = True
    stock: Service[None] = Service("stock")

    async def reserve(ctx: Context, event: Placed) -> Confirmed:
        if broken:
            raise Reject("broken")
        return Confirmed(order=event.order)

    stock.queue_worker("reserve").handler(reserve)
    app = App(services=[stock], workflows=[orders])
    async with app.running(Settings(namespace="t"), embedded=True) as client:
        handle = await client.start(orders, Placed(order="1"))
        async for line in handle.watch():
            if line.kind == "stalled":
                break
        status = await handle.status()
        assert (status.status, status.waiting_for[0].kind) == ("stalled", "dead_letter")
        broken = False
        report = await client.dead_letters.redrive(status.waiting_for[0].ref)
        assert report.done == 1
        assert await handle.result(10) == Confirmed(order="1")
        assert (await handle.status()).steps == {"committed": 1}
