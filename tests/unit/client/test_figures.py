"""What is counted over many runs, on the pair in memory: unrouted events, and how the steps stand."""

from __future__ import annotations

import pytest

from pavane import Event
from pavane.client.means import Means
from pavane.client.unrouted import unrouted_events
from pavane.client.workflow_stats import percentile, workflow_stats
from pavane.core.calls import Mark
from pavane.ports.store import Registration
from pavane.settings import Settings
from tests.unit.client.stage import WORKER, Confirmed, Stage


class Paid(Event, name="clienttest.paid"):
    order: str


def means_of(stage: Stage) -> Means:
    return Means(stage.store, stage.broker, Settings(namespace="t"), stage.clock)


async def test_an_event_that_nobody_hears_is_counted_with_its_last_run() -> None:
    stage = await Stage.build()
    first, second = [await stage.start(order) for order in ("1", "2")]
    await stage.client.emit(Confirmed(order="1"), run=first)
    stage.clock.time += 1000
    await stage.client.emit(Confirmed(order="2"), run=second)
    [found] = await unrouted_events(means_of(stage), since=None, until=None, limit=1000)
    assert (found.event, found.reason, found.count) == ("clienttest.confirmed", "nobody", 2)
    assert (found.endings, found.registered, found.example_run) == (2, False, second)
    assert found.last_at.timestamp() * 1000 == stage.clock.time
    assert (
        await unrouted_events(means_of(stage), since=None, until=found.last_at.replace(year=2000), limit=9)
        == []
    )


async def test_only_so_many_runs_are_looked_at_the_latest_first() -> None:
    stage = await Stage.build()
    for order in ("1", "2", "3"):
        await stage.client.emit(Confirmed(order=order), run=await stage.start(order))
    [found] = await unrouted_events(means_of(stage), since=None, until=None, limit=2)
    assert (found.count, found.example_run) == (2, "orders:3")


@pytest.mark.parametrize("event", [Paid(order="1"), Confirmed(order="1")], ids=["live", "ended"])
async def test_an_event_whose_binding_is_gone_is_told_apart(event: Event) -> None:
    stage = await Stage.build()
    run, name = await stage.start("1"), type(event).event_name
    subscriptions: dict[str, tuple[str, ...]] = {"mail.send": (name,)}
    await stage.store.register(Registration(service="mail", subscriptions=subscriptions, workflows={}))
    back = await stage.client.emit(event, run=run)
    for _ in range(2):  # and the relay has tried it again
        await stage.store.mark(Mark(record=run, returned=(back,)))
    [found] = await unrouted_events(means_of(stage), since=None, until=None, limit=1000)
    assert (found.event, found.reason, found.registered) == (name, "no_binding", True)
    assert (found.count, found.example_run) == (1, run)


async def test_endings_that_nobody_hears_come_last() -> None:
    stage = await Stage.build()
    for order in ("1", "2"):
        await stage.client.emit(Confirmed(order=order), run=await stage.start(order))
    await stage.client.emit(Paid(order="3"), run=await stage.start("3"))
    found = await unrouted_events(means_of(stage), since=None, until=None, limit=1000)
    assert [(one.event, one.count, one.endings) for one in found] == [
        ("clienttest.paid", 1, 0),
        ("clienttest.confirmed", 2, 2),
    ]


async def test_the_steps_of_a_worker_are_counted_as_they_stand() -> None:
    stage = await Stage.build()
    runs = [await stage.start(order) for order in ("1", "2", "3")]
    await stage.begin(runs[0])
    await stage.die(runs[1])
    [found] = await workflow_stats(means_of(stage), workflow="orders", since=None, until=None, limit=1000)
    assert (found.workflow, found.worker, found.runs) == ("orders", WORKER, 3)
    assert (found.waiting, found.running, found.dead, found.committed) == (3, 1, 1, 0)
    assert (found.p50_s, found.p95_s) == (None, None)


async def test_a_worker_that_has_begun_nothing_is_told_by_its_queue() -> None:
    stage = await Stage.build()
    await stage.start("1")
    [found] = await workflow_stats(means_of(stage), workflow=None, since=None, until=None, limit=1000)
    assert (found.workflow, found.worker, found.runs, found.waiting) == (None, WORKER, 0, 1)


@pytest.mark.parametrize(
    ("durations", "median", "high"),
    [([], None, None), ([1000], 1, 1), ([3000, 1000, 2000], 2, 3), (range(1000, 101_000, 1000), 50, 95)],
)
def test_percentiles_are_values_that_there_were(
    durations: list[int], median: float | None, high: float | None
) -> None:
    assert (percentile(durations, 50), percentile(durations, 95)) == (median, high)
