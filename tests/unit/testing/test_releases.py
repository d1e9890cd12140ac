"""A new release finishes what the old one has begun: versions in the record, in queues and in letters are lifted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pavane import Reject, RunFailed
from pavane.testing import Harness, harness
from tests.releases import ONE_PIECE, Release

OLD, NEW = "old", "new"


@pytest.fixture
def old() -> Release:
    return Release(1)


@pytest.fixture
def new(old: Release) -> Release:
    return Release(2)


@asynccontextmanager
async def deployed(
    before: Harness, release: Release, patch: pytest.MonkeyPatch
) -> AsyncGenerator[Harness, None]:
    """Another release on what the one before has left: the same queues, the same records, the same clock."""
    await before._broker.close()  # the connection of the old process is gone
    with patch.context() as same:
        same.setattr(harness, "VirtualClock", lambda _: before._clock)
        same.setattr(harness, "ObservedStore", lambda _: before._store)
        same.setattr(harness, "ObservedBroker", lambda _, **__: before._broker)
        after = Harness(release.app)
    async with after:
        yield after


def lifted(release: Release, order: str, sku: str = "lamp") -> dict[str, Any]:
    return {"order": order, "sku": sku, "pieces": ONE_PIECE}


async def test_a_message_of_version_1_is_handled_by_version_2(
    old: Release, new: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Harness(old.app) as before:
        before.fail("mail.confirm", ConnectionError)
        await before.start(old.orders, old.order("7"))
        await before.until_idle()
        # Reserved, told in version 1; the copy of that message waits for its next attempt.
        assert [name for name, *_ in old.calls] == ["reserve"]
    async with deployed(before, new, monkeypatch) as after:
        confirmed = await after.run(new.orders, "7").result()
        assert confirmed.model_dump() == lifted(new, "7")
    assert [(name, event.model_dump()) for name, event in new.calls] == [("confirm", lifted(new, "7"))]


async def test_an_undo_gets_what_the_record_holds_of_version_1(
    old: Release, new: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Harness(old.app) as before:
        before.fail("mail.confirm", ConnectionError)
        await before.start(old.orders, old.order("7", "none"))
        await before.until_idle()
    async with deployed(before, new, monkeypatch) as after:
        assert (await after.run(new.orders, "7").wait()).status == "compensated"
        with pytest.raises(RunFailed):
            await after.run(new.orders, "7").result()
    [(_, placed, done)] = [call for call in new.calls if call[0] == "unreserve"]
    assert (type(placed), type(done)) == (new.placed, new.reserved)
    assert placed.model_dump() == done.model_dump() == lifted(new, "7", "none")


async def test_a_result_of_version_1_is_read_by_version_2(
    old: Release, new: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Harness(old.app) as before:
        await (await before.start(old.orders, old.order("7"))).wait()
    async with deployed(before, new, monkeypatch) as after:
        assert (await after.run(new.orders, "7").result()).model_dump() == lifted(new, "7")


async def test_a_letter_of_version_1_is_redriven_to_version_2(
    old: Release, new: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Harness(old.app) as before:
        before.fail("mail.confirm", Reject("not in this release"))
        await before.start(old.orders, old.order("7"))
        await before.until_idle()
    async with deployed(before, new, monkeypatch) as after:
        assert (await after.client.dead_letters.redrive(everything=True)).done == 1
        assert (await after.run(new.orders, "7").result()).model_dump() == lifted(new, "7")


async def test_without_an_upcaster_the_letter_says_which_one_is_missing(
    old: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Harness(old.app) as before:
        before.fail("mail.confirm", ConnectionError)
        await before.start(old.orders, old.order("7"))
        await before.until_idle()
    async with deployed(before, Release(2, upcaster=None), monkeypatch) as after:
        await after.advance(1)
        [letter] = await after.client.dead_letters.list().all()
    assert letter.reason == "invalid_payload"
    assert "version 1" in (letter.error or "")


@pytest.mark.fault("W14")
async def test_the_old_release_lets_version_2_wait_until_the_new_one_is_there(
    old: Release, new: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Harness(new.app) as before:
        before.fail("mail.confirm", ConnectionError)
        await before.start(new.orders, new.order("7"))
        await before.until_idle()
    async with deployed(before, old, monkeypatch) as rolled_back:
        await rolled_back.advance(300)
        assert old.calls == []
        assert await rolled_back.client.dead_letters.list().count() == 0
    async with deployed(rolled_back, new, monkeypatch) as after:
        confirmed = await after.run(new.orders, "7").result()
        assert confirmed.model_dump() == {"order": "7", "sku": "lamp", "pieces": 3}
