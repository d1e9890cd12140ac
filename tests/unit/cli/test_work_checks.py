"""What doctor says of runs and dead letters."""

from __future__ import annotations

import pytest

from pavane.cli.work_checks import stalled_check
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
