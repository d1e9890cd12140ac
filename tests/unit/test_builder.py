"""The builder: what a worker becomes, and that everything wrong with it is told at once."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import pytest

from pavane import (
    Context,
    DefinitionError,
    Event,
    RawEvent,
    RetryPolicy,
    Service,
    UndoContext,
    WorkerBuilder,
)
from pavane.events import StepDeadLettered
from tests.definitions import define, refusal

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForCheckers


class OrderEvent(Event):
    order_id: str = ""


class Placed(OrderEvent, name="test_builder.placed"): ...


class Paid(OrderEvent, name="test_builder.paid"): ...


class Refused(OrderEvent, name="test_builder.refused"): ...


class Stranger(Event, name="test_builder.stranger"): ...


async def take(ctx: Context, event: Placed) -> Paid:
    return Paid()


def begin(name: str = "worker") -> WorkerBuilder[None]:
    return Service("shop").queue_worker(name)


async def undo(ctx: UndoContext, event: Placed, done: Paid | None) -> None: ...


async def no_undo(ctx: UndoContext) -> None: ...


# What a worker becomes -------------------------------------------------------------------------------


def test_a_worker_that_was_told_nothing_has_the_documented_defaults() -> None:
    definition = define(take)
    assert (definition.full_name, definition.description) == ("shop.worker", "Works")
    assert (definition.events, definition.emits, definition.results) == ((Placed,), (Paid,), (Paid,))
    assert (definition.lease_ms, definition.renew_every_ms) == (30_000, 10_000)
    assert (definition.timeout_ms, definition.step_timeout_ms) == (60_000, None)
    assert (definition.retry, definition.on_exhausted.action) == (RetryPolicy(), "stall")
    assert (definition.compensation, definition.prefetch) == (None, None)
    assert (definition.dead_letters.max_length, definition.dead_letters.alert_at) == (None, 1)
    assert definition.is_async
    assert not definition.returns_none
    assert definition.place.file == __file__


def test_a_worker_keeps_what_it_was_told() -> None:
    definition = define(
        take,
        lambda b: (
            b.on(Placed)
            .emits(Paid, Refused)
            .lease(timedelta(seconds=60), renew_every=5)
            .timeout(5, step=timedelta(hours=1))
            .retry(max_attempts=3, jitter_mode="none")
            .on_exhausted("compensate")
            .dead_letters(max_length=9, alert_at=2, discard_after=timedelta(days=1))
            .prefetch(8)
        ),
    )
    assert (definition.lease_ms, definition.renew_every_ms) == (60_000, 5000)
    assert (definition.timeout_ms, definition.step_timeout_ms) == (5000, 3_600_000)
    assert (definition.retry.max_attempts, definition.retry.jitter_mode) == (3, "none")
    assert (definition.emits, definition.results) == ((Paid, Refused), (Paid,))
    assert definition.on_exhausted.action == "compensate"
    assert (definition.dead_letters.max_length, definition.dead_letters.discard_after_ms) == (9, 86_400_000)
    assert definition.prefetch == 8


def test_the_order_of_settings_does_not_matter_and_a_builder_never_changes() -> None:
    service = Service("shop")
    plain = service.queue_worker("a")
    longer = plain.lease(60).prefetch(4)
    plain.prefetch(8).lease(90).handler(take)
    assert longer is not plain
    assert (service.definitions[0].prefetch, service.definitions[0].lease_ms) == (8, 90_000)
    assert [definition.name for definition in service.definitions] == ["a"]


def test_the_function_itself_comes_back() -> None:
    assert begin()(take) is take
    assert begin().handler(take) is take


def test_events_come_from_on_where_nothing_is_annotated() -> None:
    def bare(ctx, event):
        return None

    definition = define(bare, lambda b: b.on(Placed, Paid).emits(Refused))
    assert definition.events == (Placed, Paid)
    assert (definition.emits, definition.results) == ((Refused,), (Refused,))
    assert not definition.is_async
    assert define(lambda ctx, event: None, lambda b: b.on(Placed)).emits == ()


def test_a_base_class_in_the_annotation_stands_for_the_events_of_on() -> None:
    async def any_order(ctx: Context, event: OrderEvent) -> OrderEvent | None: ...

    definition = define(any_order, lambda b: b.on(Placed, Paid).emits(Refused))
    assert (definition.events, definition.results, definition.returns_none) == (
        (Placed, Paid),
        (Refused,),
        True,
    )


Alias = Placed | Paid


@pytest.mark.parametrize(
    "annotation",
    [
        Placed | Paid,
        Union[Placed, Paid],  # noqa: UP007
        Annotated[Placed | Paid, "note"],
        "Placed | Paid",
        "Alias",
        Annotated["Placed", 1] | Paid,
    ],
)
def test_unions_are_read_however_they_are_written(annotation: Any) -> None:
    async def handler(ctx, event): ...

    handler.__annotations__ = {"event": annotation, "return": Optional[Refused]}  # noqa: UP045
    definition = define(handler)
    assert definition.events == (Placed, Paid)
    assert (definition.results, definition.returns_none) == ((Refused,), True)


def test_classes_local_to_a_function_are_found() -> None:
    class LocalIn(Event, name="test_builder.local_in"): ...

    class LocalOut(Event, name="test_builder.local_out"): ...

    async def undo(ctx: UndoContext, event: LocalIn, done: LocalOut | None) -> None: ...

    async def handler(ctx: Context, event: LocalIn) -> LocalOut: ...

    definition = define(handler, lambda b: b.compensate_with(undo))
    assert (definition.events, definition.emits) == ((LocalIn,), (LocalOut,))
    assert definition.compensation is not None
    assert definition.compensation.admits == ("test_builder.local_out", "")


def make_handler() -> Any:
    class Hidden(Event, name="test_builder.hidden"): ...

    async def handler(ctx: Context, event: Hidden) -> None:
        ctx.log.info("%s", Hidden)

    return handler


def test_what_a_function_closes_over_is_found_after_its_maker_has_returned() -> None:
    assert [event.event_name for event in define(make_handler()).events] == ["test_builder.hidden"]


def test_methods_partials_and_wrapped_functions_are_handlers_too() -> None:
    class Shop:
        async def sell(self, ctx: Context, event: Placed) -> Paid: ...

    async def configured(price: int, ctx: Context, event: Placed) -> Paid: ...

    @wraps(take)
    async def wrapped(*args: Any) -> Any:
        return await take(*args)

    for handler in (Shop().sell, partial(configured, 5), wrapped):
        definition = define(handler)
        assert (definition.events, definition.emits, definition.is_async) == ((Placed,), (Paid,), True)


def test_framework_events_can_be_subscribed_to() -> None:
    async def alert(ctx: Context, event: StepDeadLettered) -> None: ...

    assert define(alert).events == (StepDeadLettered,)


# What is refused -------------------------------------------------------------------------------------


async def no_context(ctx: Placed, event: Placed) -> None: ...


async def undo_as_handler(ctx: UndoContext, event: Placed) -> None: ...


async def too_short(ctx: Context) -> None: ...


async def too_long(ctx: Context, event: Placed, more: int) -> None: ...


async def keyword_only(ctx: Context, event: Placed, *, more: int) -> None: ...


async def no_event_class(ctx: Context, event: int) -> None: ...


async def optional_event(ctx: Context, event: Placed | None) -> None: ...


async def returns_a_dict(ctx: Context, event: Placed) -> dict[str, int]: ...


async def returns_more(ctx: Context, event: Placed) -> Paid | int: ...


async def yields(ctx: Context, event: Placed) -> AsyncIterator[Paid]:
    yield Paid()


@pytest.mark.parametrize(
    "handler",
    [
        no_context,
        undo_as_handler,
        too_short,
        too_long,
        keyword_only,
        no_event_class,
        optional_event,
        returns_a_dict,
        returns_more,
        yields,
        5,
        Placed,
    ],
)
def test_a_signature_that_cannot_be_called_is_refused(handler: Any) -> None:
    told = (lambda b: b.on(Placed)) if handler is too_short else (lambda b: b)
    assert refusal(handler, told) == ["bad_signature"]


async def unresolved(ctx: Context, event: OnlyForCheckers) -> None: ...


async def bare(ctx, event): ...


async def any_order(ctx: Context, event: OrderEvent) -> None: ...


async def raw(ctx: Context, event: RawEvent) -> None: ...


async def returns_a_base(ctx: Context, event: Placed) -> OrderEvent: ...


async def returns_framework(ctx: Context, event: Placed) -> StepDeadLettered: ...


CONTRADICTIONS: list[tuple[Any, Callable[[Any], Any], list[str]]] = [
    (unresolved, lambda b: b, ["unresolved_annotation"]),
    (bare, lambda b: b, ["no_event"]),
    (any_order, lambda b: b, ["unknown_event"]),
    (raw, lambda b: b, ["unknown_event"]),
    (returns_a_base, lambda b: b, ["unknown_event"]),
    (bare, lambda b: b.on(OrderEvent), ["unknown_event"]),
    (take, lambda b: b.on(Stranger), ["contradicting_event", "contradicting_event"]),
    (take, lambda b: b.on(Placed, Paid), ["contradicting_event"]),
    (take, lambda b: b.emits(Refused), ["contradicting_emit"]),
    (take, lambda b: b.emits(), ["contradicting_emit"]),
    (take, lambda b: b.emits(Paid, Paid), ["bad_value"]),
    (take, lambda b: b.emits(Paid, StepDeadLettered), ["bad_value"]),
    (returns_framework, lambda b: b, ["bad_value"]),
    (bare, lambda b: b.on(), ["bad_value", "no_event"]),
    (bare, lambda b: b.on(int), ["bad_value"]),
]


@pytest.mark.parametrize(("handler", "told", "codes"), CONTRADICTIONS)
def test_events_that_contradict_each_other_are_refused(handler: Any, told: Any, codes: list[str]) -> None:
    assert refusal(handler, told) == codes


WRONG_VALUES: list[Callable[[Any], Any]] = [
    lambda b: b.lease(0),
    lambda b: b.lease(-1),
    lambda b: b.lease(math.nan),
    lambda b: b.lease("30"),
    lambda b: b.lease(10, renew_every=6),
    lambda b: b.timeout(math.inf),
    lambda b: b.timeout(10, step=5),
    lambda b: b.retry(max_attempts=0),
    lambda b: b.retry(RetryPolicy(), max_attempts=3),
    lambda b: b.retry(attempts=3),
    lambda b: b.retry(5),
    lambda b: b.prefetch(0),
    lambda b: b.prefetch(True),
    lambda b: b.dead_letters(max_length=0),
    lambda b: b.dead_letters(alert_at=-1),
    lambda b: b.dead_letters(discard_after=timedelta(-1)),
    lambda b: b.compensate_with(undo, timeout=0),
]


@pytest.mark.parametrize("told", WRONG_VALUES)
def test_a_value_that_cannot_be_used_is_refused(told: Any) -> None:
    assert refusal(take, told) == ["bad_value"]


TWICE: list[Callable[[Any], Any]] = [
    lambda b: b.on(Placed).on(Placed),
    lambda b: b.emits(Paid).emits(Paid),
    lambda b: b.lease(5).lease(5),
    lambda b: b.timeout(5).timeout(5),
    lambda b: b.retry().retry(),
    lambda b: b.on_exhausted("stall").on_exhausted("stall"),
    lambda b: b.dead_letters().dead_letters(),
    lambda b: b.compensate_with(undo).compensate_with(undo),
    lambda b: b.prefetch(1).prefetch(1),
]


@pytest.mark.parametrize("told", TWICE)
def test_a_setting_called_twice_is_refused(told: Any) -> None:
    assert refusal(take, told) == ["set_twice"]


def test_everything_wrong_with_a_worker_is_told_at_once_with_its_line() -> None:
    service: Any = Service("shop")
    with pytest.raises(DefinitionError) as caught:
        (
            service.queue_worker("Worker")
            .lease(-1)
            .prefetch(0)
            .prefetch(1)
            .compensate_with(no_undo)
            .handler(returns_a_dict)
        )
    found = [(problem.code, problem.line) for problem in caught.value.problems]
    assert [code for code, _ in found] == [
        "bad_name",
        "bad_value",
        "bad_value",
        "set_twice",
        "bad_signature",
        "undo_mismatch",
    ]
    assert found[4][1] == inspect.getsourcelines(returns_a_dict)[1]
    assert found[5][1] == inspect.getsourcelines(no_undo)[1]
    assert service.definitions == ()
