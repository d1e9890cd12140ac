"""Services: names, resources, and being built by a function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pavane import Context, DefinitionError, Event, Service


class Placed(Event, name="test_service.placed"): ...


def test_services_may_be_built_by_a_function_and_used_twice() -> None:
    def build(name: str) -> Service[None]:
        service = Service(name)

        @service.queue_worker("sell")
        async def sell(ctx: Context, event: Placed) -> None: ...

        return service

    names = [definition.full_name for name in ("north", "south") for definition in build(name).definitions]
    assert names == ["north.sell", "south.sell"]


@pytest.mark.parametrize("name", ["", "Shop", "a-b", "a" * 64])
def test_a_service_needs_a_name(name: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Service(name)
    assert caught.value.problems[0].code == "bad_name"


def test_a_lifespan_is_a_function_that_returns_a_context_manager() -> None:
    async def not_decorated() -> AsyncIterator[int]:
        yield 1

    opened = asynccontextmanager(not_decorated)
    assert Service("shop", lifespan=opened).lifespan is opened
    for lifespan in (not_decorated, 5):
        with pytest.raises(DefinitionError, match="lifespan"):
            Service("shop", lifespan=lifespan)  # type: ignore[arg-type]
