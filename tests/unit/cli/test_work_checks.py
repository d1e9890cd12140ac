"""What doctor says of runs and dead letters."""

from __future__ import annotations

import pytest

from pavane.cli.work_checks import TRIED, outbox_check, stalled_check
from pavane.core.answers import Dead
from pavane.core.calls import Reject, Verdict
from pavane.core.record import Letter
from pavane.ports.store import Registration
from tests.unit.client.stage import WORKER, Placed, Stage


async def reject(stage: Stage, key: str) -> None:
    """A message that never became a job: its letter stalls no run."""
    letter = Letter(
        id=key * 16,
        kind="message",
        step=f"{WORKER}:{key}",
        worker=WORKER,
        event="",
        reason="undecodable",
        error="no JSON",
        error_type="Undecodable",
    )
    call = Reject(
        record=f"~{key}", step=letter.step, worker=WORKER, own_record=True, verdict=Verdict(letter=letter)
    )
    assert isinstance(await stage.store.reject(call), Dead)


async def test_nothing_wrong_is_said_so() -> None:
    stage = await Stage.build()
    found = await stalled_check(stage.client, stage.store)
    assert (found.status, found.summary) == ("ok", "No run is stalled.")


async def test_a_stalled_run_is_a_warning_with_its_reason() -> None:
    stage = await Stage.build()
    await stage.die(await stage.start("a"))
    found = await stalled_check(stage.client, stage.store)
    assert found.status == "warning"
    assert "1 runs are stalled: dead." in found.summary


@pytest.mark.parametrize(("alert_at", "status"), [(1, "warning"), (2, "warning"), (3, "ok")])
async def test_dead_letters_warn_from_the_workers_own_number_on(alert_at: int, status: str) -> None:
    stage = await Stage.build()
    await reject(stage, "a")
    await reject(stage, "b")
    await stage.store.register(
        Registration(
            service="stock",
            subscriptions={WORKER: (Placed.event_name,)},
            workflows={},
            alert_at={WORKER: alert_at},
        )
    )
    found = await stalled_check(stage.client, stage.store)
    assert found.status == status, found
    assert ("(2)" in found.summary) == (status == "warning")


async def test_a_paused_run_whose_events_cannot_be_published_is_an_error_too() -> None:
    stage = await Stage.build()
    stage.broker.down = True
    run = await stage.start("a")
    await stage.client.run(run).pause("the warehouse moves")
    assert (await outbox_check(stage.store)).status == "ok"
    for _ in range(TRIED):
        stage.clock.time += 60_000
        assert (await stage.store.tick(0)).rows
    found = await outbox_check(stage.store)
    assert (found.status, f"first: {run}" in found.summary) == ("error", True)


async def test_a_letter_that_was_answered_needs_nobody() -> None:
    stage = await Stage.build()
    await stage.die(await stage.start("a"), policy="compensate")
    assert (await stalled_check(stage.client, stage.store)).status == "ok"
