"""Groups of dead letters, and editing one through the client, on the pair in memory."""

from __future__ import annotations

import pytest

from pavane import ActionRefused, LetterNotFound, TooLarge, UsageError
from pavane.client import editing
from pavane.core.envelope import EDITED, GENERATION, RUN
from tests.unit.client.stage import WORKER, Stage


@pytest.fixture
async def stage() -> Stage:
    return await Stage.build()


async def test_letters_of_one_fingerprint_are_one_group(stage: Stage) -> None:
    letters = [await stage.die(await stage.start(order), error=f"boom {order}") for order in "abc"]
    [group] = await stage.client.dead_letters.groups()
    assert (group.fingerprint, group.worker, group.count) == ("f" * 12, WORKER, 3)
    assert (group.error_type, group.error, group.where) == ("Boom", "boom c", None)
    assert group.first_at < group.last_at
    assert group.example_id == letters[2]
    [filtered] = await stage.client.dead_letters.groups(run="orders:a")
    assert (filtered.count, filtered.example_id) == (1, letters[0])
    assert await stage.client.dead_letters.groups(worker="stock.other") == []


async def test_an_edit_publishes_the_new_job_and_closes_the_letter(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    await stage.empty(stage.queue)
    event_id = await stage.client.dead_letters.edit(letter, {"order": "ä"}, reason="typo")
    [copy] = await stage.empty(stage.queue)
    assert copy.body == '{"order":"ä"}'.encode()
    assert (copy.headers["cloudEvents_id"], copy.headers["causationid"] != event_id) == (event_id, True)
    assert (copy.headers[RUN], copy.headers[EDITED]) == ("orders:a", "orders:a")
    assert GENERATION not in copy.headers
    record = await stage.record("orders:a")
    assert record.letters == {}
    line = next(line for line in record.history if line.kind == "redriven")
    assert (line.by, line.reason, dict(line.detail)) == (
        "tester",
        "typo",
        {"edited": event_id, "key": "kept"},
    )


async def test_a_job_that_cannot_be_published_now_is_left_to_the_relay(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    stage.broker.down = True
    event_id = await stage.client.dead_letters.edit(letter, {"order": "b"}, reason="typo")
    await stage.client.dead_letters._means.drain()
    assert f"job/{WORKER}:{event_id}" in (await stage.record("orders:a")).outbox


async def test_the_letters_message_goes_with_the_next_round(stage: Stage) -> None:
    first, second = [await stage.die(await stage.start(order)) for order in "ab"]
    await stage.client.dead_letters.edit(first, {"order": "c"}, reason="typo")
    assert await stage.letters_queued() == [first, second]
    await stage.client.dead_letters.discard(second, then="leave")
    assert await stage.letters_queued() == []


async def test_what_may_not_be_edited_is_an_error_that_says_why(stage: Stage) -> None:
    answered = await stage.die(await stage.start("a"), policy="compensate")
    with pytest.raises(ActionRefused, match="on_exhausted has answered") as caught:
        await stage.client.dead_letters.edit(answered, {}, reason="typo")
    assert f"redrive --force {answered}" in caught.value.remedy
    with pytest.raises(LetterNotFound):
        await stage.client.dead_letters.edit("0" * 16, {}, reason="typo")
    letter = await stage.die(await stage.start("b"))
    with pytest.raises(UsageError, match="Nobody could read"):
        await stage.client.dead_letters.edit(letter, {"order": object()}, reason="typo")
    with pytest.raises(UsageError, match="Nobody could read"):
        await stage.client.dead_letters.edit(letter, {"order": float("nan")}, reason="typo")
    with pytest.raises(TooLarge):
        await stage.client.dead_letters.edit(letter, {"order": "x" * 300_000}, reason="typo")
    assert letter in (await stage.record("orders:b")).letters


async def test_a_letter_that_was_redriven_meanwhile_is_not_edited(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    means = stage.client.dead_letters._means
    found = await means.store.letter(letter)
    assert found is not None
    await stage.client.dead_letters.redrive(letter)
    with pytest.raises(LetterNotFound, match="dealt with since"):
        await editing.edit(means, found, {"order": "b"}, reason="typo")
