"""What follows a failure: the answer to exhaustion, and the undo of a step."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Any

import pytest

from pavane import Context, Event, RetryPolicy, StepFailure, UndoContext
from tests.definitions import define, refusal


class OrderEvent(Event):
    order_id: str = ""


class Placed(OrderEvent, name="test_outcomes.placed"): ...


class Paid(OrderEvent, name="test_outcomes.paid"): ...


class Refused(OrderEvent, name="test_outcomes.refused"): ...


class Stranger(Event, name="test_outcomes.stranger"): ...


async def take(ctx: Context, event: Placed) -> Paid:
    return Paid()


def answer(event: Placed, failure: StepFailure) -> Refused:
    return Refused()


def test_an_answer_to_exhaustion_is_read_from_its_annotation() -> None:
    definition = define(take, lambda b: b.on_exhausted(answer))
    assert (definition.on_exhausted.action, definition.on_exhausted.events) == ("answer", (Refused,))
    assert (definition.emits, definition.produces) == ((Paid,), (Paid, Refused))


def test_a_lambda_answers_with_one_of_emits() -> None:
    definition = define(take, lambda b: b.emits(Paid, Refused).on_exhausted(lambda event, failure: Refused()))
    assert definition.on_exhausted.events == (Paid, Refused)


async def no_answer(event: Placed, failure: StepFailure) -> Refused: ...


def answers_another_event(event: Stranger, failure: StepFailure) -> Refused: ...


def answers_with_text(event: Placed, failure: StepFailure) -> str: ...


def answers_one(event: Placed) -> Refused: ...


@pytest.mark.parametrize("action", [no_answer, answers_another_event, answers_with_text, answers_one])
def test_an_answer_that_cannot_be_given_is_refused(action: Any) -> None:
    assert refusal(take, lambda b: b.on_exhausted(action)) == ["bad_signature"]


def test_a_lambda_without_emits_cannot_be_told() -> None:
    async def silent(ctx: Context, event: Placed) -> None: ...

    assert refusal(silent, lambda b: b.on_exhausted(lambda e, f: Refused())) == ["bad_signature"]
    assert refusal(silent, lambda b: b.on_exhausted("stop")) == ["bad_value"]


# Undo ------------------------------------------------------------------------------------------------


async def undo(ctx: UndoContext, event: Placed, done: Paid | None) -> None: ...


async def undo_all(ctx: UndoContext, event: Placed) -> None: ...


async def undo_known(ctx: UndoContext, event: Placed, done: Paid) -> None: ...


def undo_bare(ctx, event, done): ...


async def undo_base(ctx: UndoContext, event: OrderEvent, done: OrderEvent | None) -> None: ...


async def either(ctx: Context, event: Placed) -> Paid | Refused | None: ...


def test_an_undo_takes_the_results_that_its_annotation_admits() -> None:
    compensation = define(either, lambda b: b.compensate_with(undo).timeout(7)).compensation
    assert compensation is not None
    assert compensation.admits == ("test_outcomes.paid", "")
    assert (compensation.takes_done, compensation.uncertain, compensation.is_async) == (True, True, True)
    assert (compensation.retry.max_attempts, compensation.retry.max_delay_ms) == (20, 900_000)
    assert (compensation.timeout_ms, compensation.retry.initial_delay_ms) == (7000, 5000)


@pytest.mark.parametrize(
    ("function", "options", "takes_done", "admits"),
    [
        (undo_all, {}, False, None),
        (undo_bare, {}, True, None),
        (undo_known, {"uncertain": False}, True, ("test_outcomes.paid",)),
        (undo_base, {}, True, ("test_outcomes.paid", "test_outcomes.refused", "")),
    ],
)
def test_what_an_undo_takes(
    function: Any, options: Any, takes_done: bool, admits: tuple[str, ...] | None
) -> None:
    compensation = define(either, lambda b: b.compensate_with(function, **options)).compensation
    assert compensation is not None
    assert (compensation.takes_done, compensation.admits) == (takes_done, admits)


def test_an_undo_has_its_own_retry_and_timeout() -> None:
    policy = RetryPolicy(max_attempts=2)
    compensation = define(take, lambda b: b.compensate_with(undo, retry=policy, timeout=3)).compensation
    assert compensation is not None
    assert (compensation.retry, compensation.timeout_ms) == (policy, 3000)


async def undo_context(ctx: Context, event: Placed, done: Paid | None) -> None: ...


async def undo_other_event(ctx: UndoContext, event: Stranger, done: Paid | None) -> None: ...


async def undo_other_result(ctx: UndoContext, event: Placed, done: Stranger | None) -> None: ...


async def undo_returning(ctx: UndoContext, event: Placed, done: Paid | None) -> Refused: ...


async def undo_short(ctx: UndoContext) -> None: ...


async def undo_long(ctx: UndoContext, event: Placed, done: Paid | None, more: int) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        undo_context,
        undo_other_event,
        undo_other_result,
        undo_returning,
        undo_short,
        undo_long,
        undo_known,
    ],
)
def test_an_undo_that_does_not_fit_is_refused(function: Any) -> None:
    assert refusal(take, lambda b: b.compensate_with(function)) == ["undo_mismatch"]


def test_the_retry_policy_of_an_undo_has_to_be_one() -> None:
    assert refusal(take, lambda b: b.compensate_with(undo, retry=3)) == ["bad_value"]
