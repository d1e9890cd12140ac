"""What a handler's source says, and when it says nothing."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from pavane import Context, Event
from pavane.builder.handler_source import read_source


class Asked(Event, name="test_source.asked"): ...


class Told(Event, name="test_source.told"):
    number: int = 0


class Noted(Event, name="test_source.noted"):
    @classmethod
    def or_told(cls) -> Told:
        return Told()


def said(handler: Any) -> list[tuple[str, bool]]:
    """The events, and whether they are sent later."""
    return [(sending.event.__name__, sending.later) for sending in read_source(handler).sendings]


async def emits(ctx: Context, event: Asked) -> Told:
    ctx.emit(Noted())
    ctx.after(60, event=Told())
    return Told(number=1)


async def picks(context: Context, event: Asked) -> None:
    choice = Told() if context.attempt == 1 else Noted()
    context.emit(choice)
    context.after(5, Told.model_validate({"number": 2}), key="again")


async def hands_on(ctx: Context, event: Asked) -> Noted:
    return await helper(ctx, 1)


async def helper(c: Context, again: int) -> Noted:
    c.emit(Told(number=again))
    await helper(c, again)
    return Noted()


async def acts(ctx: Context, event: Asked) -> None:
    await mark(ctx)


async def mark(ctx: Context) -> None:
    print(ctx.idempotency_key)


def test_sending_at_once_and_later() -> None:
    assert said(emits) == [("Noted", False), ("Told", True), ("Told", False)]


def test_it_points_to_the_call() -> None:
    lines = Path(__file__).read_text().splitlines()
    places = [sending.place for sending in read_source(emits).sendings]
    assert {place.file for place in places} == {__file__}
    assert ["Noted()" in lines[(place.line or 0) - 1] for place in places] == [True, False, False]
    assert lines[(places[2].line or 0) - 1].strip() == "return Told(number=1)"


def test_an_event_may_be_chosen_before_it_is_sent() -> None:
    assert said(picks) == [("Told", False), ("Noted", False), ("Told", True)]


def test_a_function_that_is_handed_the_context_is_read_as_well() -> None:
    assert said(hands_on) == [("Told", False)]
    assert read_source(acts).acts_outside
    assert not read_source(emits).acts_outside


def test_classes_local_to_a_function_are_known() -> None:
    class Local(Event, name="test_source.local"): ...

    async def handler(ctx: Context, event: Asked) -> None:
        ctx.emit(Local())

    assert said(handler) == [("Local", False)]


def test_wrappers_partials_and_methods_are_looked_through() -> None:
    @functools.wraps(emits)
    async def wrapped(*arguments: Any) -> None: ...

    async def third(extra: int, ctx: Context, event: Asked) -> None:
        ctx.emit(Noted())

    class Desk:
        async def take(self, ctx: Context, event: Asked) -> None:
            ctx.emit(Told())

    assert said(wrapped) == said(emits)
    assert said(functools.partial(third, 1)) == [("Noted", False)]
    assert said(Desk().take) == [("Told", False)]


async def escapes(ctx: Context, event: Asked) -> None:
    other = ctx
    other.emit(Told())


async def lends(ctx: Context, event: Asked) -> None:
    map(ctx.emit, [Told()])


async def given(ctx: Context[Any], event: Asked) -> None:
    ctx.emit(ctx.resources.event())


async def builds(ctx: Context, event: Asked) -> Told:
    return Noted.or_told()


async def asks(ctx: Context[Any], event: Asked) -> None:
    await ctx.resources.work(ctx)


@pytest.mark.parametrize(
    "handler", [escapes, lends, given, builds, asks, print, eval("lambda ctx, event: None")], ids=str
)
def test_what_cannot_be_followed_is_left_out(handler: Any) -> None:
    reading = read_source(handler)
    assert (reading.sendings, reading.acts_outside) == ([], False)


def test_a_name_that_is_local_is_not_taken_for_the_global_one() -> None:
    async def handler(ctx: Context, event: Asked, Told: Any = None) -> None:  # noqa: N803
        ctx.emit(Told())

    reading = read_source(handler)
    assert (reading.sendings, reading.acts_outside) == ([], False)


async def returns(ctx: Context, event: Asked) -> Told | Noted:
    ctx.log.info("attempt %s", ctx.attempt)
    return Told() if ctx.attempt == 1 else Noted()


async def keeps(ctx: Context, event: Asked) -> Told:
    kept = ctx
    kept.emit(Noted())
    return Told()


async def takes_the_method(ctx: Context, event: Asked) -> Told:
    send = ctx.emit
    send(Noted())
    return Told()


def sending_more(handler: Any) -> Any:
    @functools.wraps(handler)
    async def wrapper(ctx: Context, event: Asked) -> Told:
        ctx.emit(Noted())
        told: Told = await handler(ctx, event)
        return told

    return wrapper


class Bound:
    async def returns(self, ctx: Context, event: Asked) -> Told:
        return Told(number=ctx.attempt)


@pytest.mark.parametrize("handler", [returns, Bound().returns])
def test_nothing_leaves_a_handler_beside_what_it_returns(handler: Any) -> None:
    assert read_source(handler).returns_only


@pytest.mark.parametrize(
    "handler",
    [
        emits,
        picks,
        hands_on,
        acts,
        keeps,
        takes_the_method,
        sending_more(returns),
        functools.partial(returns),
        lambda ctx, event: Told(),
        print,
    ],
)
def test_where_more_may_leave_it_that_is_not_said(handler: Any) -> None:
    assert not read_source(handler).returns_only
