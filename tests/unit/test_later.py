"""What this version cannot do is refused by name, wherever somebody may ask for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import pavane
from pavane import Context, DefinitionError, Service, UsageError
from pavane.model.context import JobInfo
from pavane.model.intentions import Intentions
from pavane.model.values import EventInfo

SETTINGS = ["gathers", "on_child", "gate", "breaker", "concurrency", "queue"]
ACTIONS = ["fan_out", "start_run", "set_attributes", "callback_token", "breaker"]
CLASSES = ["Schedule", "AtLeast", "Escalation", "LastResult", "Decision", "Gathered"]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_worker_setting_that_is_not_there_yet_is_a_definition_error(name: str) -> None:
    builder: Any = Service("shop").queue_worker("sell")
    with pytest.raises(DefinitionError, match=f"{name} .*cannot do that yet") as caught:
        getattr(builder, name)("anything", at="all")
    assert caught.value.problems[0].file == __file__
    assert caught.value.remedy


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_that_is_not_there_yet_is_a_usage_error(name: str) -> None:
    info = EventInfo(id="1", name="a", version=1, time=datetime.now(UTC))
    job = JobInfo(
        run_id="1",
        workflow="w",
        worker="shop.sell",
        event=info,
        attempt=1,
        idempotency_key="k",
        fencing_token=1,
        deadline=datetime.now(UTC),
    )
    ctx: Any = Context(job, None, intentions=Intentions())
    with pytest.raises(UsageError, match=f"{name} .*cannot do that yet"):
        getattr(ctx, name)("anything")


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_that_is_not_there_yet_can_be_imported_and_not_made(name: str) -> None:
    with pytest.raises(DefinitionError, match=f"{name}: .*cannot do that yet"):
        getattr(pavane, name)("anything", at="all")


def test_every_public_name_exists() -> None:
    assert all(hasattr(pavane, name) for name in pavane.__all__)
    assert list(pavane.__all__) == sorted(set(pavane.__all__), key=pavane.__all__.index)
