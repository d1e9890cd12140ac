"""Listing, redriving and discarding dead letters, by rounds of a queue that keep its order."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pavane import BrokerUnavailable, LetterNotFound, StateUnavailable, UsageError
from pavane.client import letter_actions
from pavane.core.calls import CopyMark, Mark, Redrive
from pavane.core.envelope import GENERATION, LETTER, OF_A_LETTER, RECORD, RUN, STEP, WAIT_UNTIL
from pavane.ports.broker import Address, Message, ToDeadLetters
from tests.unit.client.stage import START, WORKER, Placed, Stage


@pytest.fixture
async def stage() -> Stage:
    return await Stage.build()


async def three_dead(stage: Stage) -> list[str]:
    letters = [await stage.die(await stage.start(order)) for order in ("a", "b", "c")]
    await stage.empty(stage.queue)
    return letters


async def test_letters_are_listed_oldest_first_and_filtered(stage: Stage) -> None:
    letters = await three_dead(stage)
    listed = await stage.client.dead_letters.list().all()
    assert [letter.id for letter in listed] == letters
    first = listed[0]
    assert (first.worker, first.run, first.workflow, first.reason) == (
        WORKER,
        "orders:a",
        "orders",
        "rejected",
    )
    assert first.event is not None
    assert first.event.payload == {"order": "a"}
    assert first.attempts[0].outcome == "rejected"

    async def found(**filter) -> list[str | None]:
        return [letter.run for letter in await stage.client.dead_letters.list(**filter).all()]

    assert await found(run="orders:b") == ["orders:b"]
    assert await found(worker="stock.other") == []
    assert await found(event=Placed.event_name, error="oo") == ["orders:a", "orders:b", "orders:c"]
    assert await found(error="Boom", answered=True) == []
    assert await found(since=datetime.fromtimestamp((START + 2) / 1000, UTC)) == ["orders:b", "orders:c"]
    with pytest.raises(UsageError, match="time zone"):
        stage.client.dead_letters.list(since=datetime(2026, 1, 1))


async def test_one_letter_is_shown_or_known_not_to_be_there(stage: Stage) -> None:
    [first, *_] = await three_dead(stage)
    assert (await stage.client.dead_letters.get(first)).run == "orders:a"
    with pytest.raises(LetterNotFound):
        await stage.client.dead_letters.get("0" * 16)


async def test_a_redrive_sends_the_chosen_ones_and_keeps_the_order_of_the_others(stage: Stage) -> None:
    [first, second, third] = await three_dead(stage)
    report = await stage.client.dead_letters.redrive(second, reason="mended", by="operator-1")
    assert (report.matched, report.done, report.skipped) == (1, 1, [])
    assert await stage.letters_queued() == [first, third]
    [copy] = await stage.empty(stage.queue)
    assert copy.body == b'{"order":"b"}'
    assert copy.headers[GENERATION] == 2
    assert not {*OF_A_LETTER, STEP} & copy.headers.keys()
    record = await stage.record("orders:b")
    [row] = record.steps.values()
    assert (row.work.generation, row.work.unpublished, record.letters) == (2, "", {})
    line = next(line for line in record.history if line.kind == "redriven")
    assert (line.by, line.reason) == ("operator-1", "mended")


async def test_everything_is_redriven_and_what_died_since_is_not(stage: Stage) -> None:
    await three_dead(stage)
    report = await stage.client.dead_letters.redrive(everything=True, limit=2)
    assert (report.matched, report.done) == (3, 2)
    assert [message.body for message in await stage.empty(stage.queue)] == [
        b'{"order":"a"}',
        b'{"order":"b"}',
    ]
    assert len(await stage.letters_queued()) == 1


@pytest.mark.fault("L3")
async def test_a_rate_is_kept_by_the_clock(stage: Stage) -> None:
    await three_dead(stage)
    before = stage.clock.time
    await stage.client.dead_letters.redrive(everything=True, rate=4)
    assert stage.clock.time - before == 500


async def test_without_any_choice_nothing_is_touched(stage: Stage) -> None:
    letters = await three_dead(stage)
    with pytest.raises(UsageError, match="Which"):
        await stage.client.dead_letters.redrive()
    with pytest.raises(UsageError, match="Which"):
        await stage.client.dead_letters.discard(worker=None)
    assert await stage.letters_queued() == letters


async def test_a_dry_run_foresees_and_changes_nothing(stage: Stage) -> None:
    letters = await three_dead(stage)
    before = await stage.record("orders:a")
    redrive = await stage.client.dead_letters.redrive(everything=True, dry_run=True)
    discard = await stage.client.dead_letters.discard(everything=True, dry_run=True)
    assert (redrive.done, redrive.dry_run) == (3, True)
    assert (discard.done, {one.reason for one in discard.skipped}) == (0, {"run_is_live"})
    assert await stage.record("orders:a") == before
    assert await stage.letters_queued() == letters


async def test_an_unknown_id_is_reported(stage: Stage) -> None:
    await three_dead(stage)
    report = await stage.client.dead_letters.redrive("0" * 16)
    assert (report.matched, report.done, report.skipped[0].reason) == (1, 0, "there is no such letter")


async def test_an_answered_letter_is_redriven_only_by_force(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"), policy="compensate")
    refused = await stage.client.dead_letters.redrive(letter)
    assert (refused.done, refused.skipped[0].reason) == (0, "answered")
    assert await stage.letters_queued() == [letter]


async def test_a_letter_whose_message_is_not_there_is_skipped(stage: Stage) -> None:
    [first, *_] = await three_dead(stage)
    await stage.empty(stage.dlq)
    report = await stage.client.dead_letters.redrive(first)
    assert report.done == 0
    assert report.skipped[0].reason == f"its message is not in {stage.dlq}"
    assert first in (await stage.record("orders:a")).letters


async def test_nothing_is_redriven_to_where_no_queue_is(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    del stage.broker._queues[stage.queue]
    report = await stage.client.dead_letters.redrive(letter)
    assert (report.done, report.skipped[0].reason) == (0, f"{stage.queue} does not exist")
    assert letter in (await stage.record("orders:a")).letters
    assert await stage.letters_queued() == [letter]


async def test_a_second_message_of_the_same_letter_is_dropped(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    await stage.empty(stage.queue)
    [message] = await stage.empty(stage.dlq)
    for _ in range(2):
        await stage.broker.publish(message, ToDeadLetters(stage.dlq))
    await stage.client.dead_letters.redrive(letter)
    assert await stage.letters_queued() == []
    assert len(await stage.empty(stage.queue)) == 1
    assert letter not in (await stage.record("orders:a")).letters


async def redriven_but_not_published(stage: Stage, order: str) -> str:
    """What a pass leaves behind that dies right after the store's answer."""
    letter = await stage.die(await stage.start(order))
    await stage.empty(stage.queue)
    [step] = (await stage.record(f"orders:{order}")).steps
    await stage.store.redrive(
        Redrive(record=f"orders:{order}", letter=letter, step=step, kind="step", generation=1, pass_id="dead")
    )
    return letter


async def test_what_a_pass_left_behind_is_published_by_the_next(stage: Stage) -> None:
    letter = await redriven_but_not_published(stage, "a")
    report = await stage.client.dead_letters.redrive(letter)
    assert (report.done, report.skipped[0].reason) == (0, "there is no such letter")
    [copy] = await stage.empty(stage.queue)
    assert copy.headers[GENERATION] == 2
    assert await stage.letters_queued() == []


async def test_what_a_pass_left_behind_after_its_mark_is_dropped(stage: Stage) -> None:
    await redriven_but_not_published(stage, "a")
    [step] = (await stage.record("orders:a")).steps
    await stage.store.mark(Mark(record="orders:a", copies=(CopyMark(step=step, kind="step", generation=2),)))
    await stage.client.dead_letters.redrive(everything=True)
    assert await stage.empty(stage.queue) == []
    assert await stage.letters_queued() == []


async def test_a_letter_of_a_record_that_is_gone_stays(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    stage.store._keep("orders:a", None)
    await stage.broker.publish(Message(b"{}", headers={"foreign": 1}), ToDeadLetters(stage.dlq))
    await stage.client.dead_letters.redrive(everything=True)
    await stage.client.dead_letters.discard(everything=True, then="leave")
    left = await stage.empty(stage.dlq)
    assert [message.headers.get(LETTER) for message in left] == [letter, None]


async def test_a_letter_whose_record_knows_nothing_of_it_stays(stage: Stage) -> None:
    letter, other = await stage.die(await stage.start("a")), await stage.start("b")
    [message] = await stage.empty(stage.dlq)
    stage.store._keep("orders:a", None)
    moved = Message(message.body, headers={**message.headers, RECORD: other})
    await stage.broker.publish(moved, ToDeadLetters(stage.dlq))
    await stage.client.dead_letters.redrive(everything=True)
    assert await stage.letters_queued() == [letter]


async def test_what_was_left_behind_of_a_start_emitted_in_another_run_is_published(stage: Stage) -> None:
    """Such an event carries the name of the run that emitted it; the letter names its own record."""
    await redriven_but_not_published(stage, "a")
    [message] = await stage.empty(stage.dlq)
    moved = Message(message.body, headers={**message.headers, RUN: "parents:1", WAIT_UNTIL: 5})
    await stage.broker.publish(moved, ToDeadLetters(stage.dlq))
    await stage.client.dead_letters.redrive(everything=True)
    [copy] = await stage.empty(stage.queue)
    assert (copy.headers[GENERATION], copy.headers[RUN]) == (2, "parents:1")
    assert WAIT_UNTIL not in copy.headers


async def test_one_pass_at_a_time(stage: Stage) -> None:
    letters = await three_dead(stage)
    await stage.store.claim(f"dlq/{stage.dlq}", "somebody", 30_000)
    report = await stage.client.dead_letters.redrive(everything=True)
    assert report.done == 0
    assert {one.reason for one in report.skipped} == {f"another pass goes through {stage.dlq}"}
    assert await stage.letters_queued() == letters
    await stage.store.disclaim(f"dlq/{stage.dlq}", "somebody")
    assert (await stage.client.dead_letters.redrive(everything=True)).done == 3


@pytest.mark.fault("L3")
async def test_a_pass_that_lost_its_lock_stops(stage: Stage) -> None:
    await three_dead(stage)

    def steal() -> None:
        stage.clock.time += 31_000
        stage.store._locks[f"dlq/{stage.dlq}"] = ("somebody", stage.clock.time + 30_000, 99)

    stage.clock.asleep = steal
    report = await stage.client.dead_letters.redrive(everything=True, rate=1)
    assert report.done == 2  # the second was in hand, its redrive is safe without the lock
    assert report.skipped[0].reason == f"another pass took over {stage.dlq}"


@pytest.mark.fault("L3")
async def test_an_outage_in_between_loses_no_letter(stage: Stage) -> None:
    [first, *_] = await three_dead(stage)

    def fail() -> None:
        stage.store.down = True

    stage.clock.asleep = fail
    with pytest.raises(StateUnavailable):
        await stage.client.dead_letters.redrive(everything=True, rate=1)
    stage.store.down = False
    stage.clock.asleep = lambda: None
    assert len(await stage.letters_queued()) == 2
    stage.clock.time += 31_000
    assert (await stage.client.dead_letters.redrive(everything=True)).done == 2
    assert len(await stage.empty(stage.queue)) == 3
    assert first not in await stage.letters_queued()


async def test_a_letter_that_could_not_be_put_back_is_not_hidden(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first, second, third] = await three_dead(stage)

    async def refuse(message: Message, to: Address) -> None:
        raise BrokerUnavailable("not confirmed")

    with monkeypatch.context() as broken:
        broken.setattr(stage.broker, "publish", refuse)
        with pytest.raises(BrokerUnavailable):
            await stage.client.dead_letters.redrive(second)
    assert await stage.letters_queued() == [first, second, third]
    # The second was redriven before the broker refused: its record knows, and this round sends it on.
    assert (await stage.client.dead_letters.redrive(everything=True)).done == 2
    assert await stage.letters_queued() == []


async def test_a_live_runs_letter_needs_a_decision_to_be_discarded(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    kept = await stage.client.dead_letters.discard(letter)
    assert (kept.done, kept.skipped[0].reason) == (0, "run_is_live")
    assert await stage.letters_queued() == [letter]
    left = await stage.client.dead_letters.discard(letter, then="leave", reason="test order", by="operator-1")
    assert left.done == 1
    assert await stage.letters_queued() == []
    status = await stage.client.run("orders:a").status()
    assert status.status == "stalled"
    assert status.stalled[0].startswith("discarded:")


async def test_discarding_with_compensate_ends_the_run(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    assert (await stage.client.dead_letters.discard(letter, then="compensate")).done == 1
    status = await stage.client.run("orders:a").status()
    assert (status.status, status.reason) == ("failed", "step_dead")
    assert await stage.letters_queued() == []


async def test_of_what_a_killed_pass_has_put_back_twice_the_first_stays_in_its_place(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_actions, "AT_ONCE", 2)
    letters = await three_dead(stage)
    first, second, third = await stage.empty(stage.dlq)
    for message in (first, second, third, first, second):
        await stage.broker.publish(message, ToDeadLetters(stage.dlq))
    await stage.client.dead_letters.redrive("0" * 16)
    assert await stage.letters_queued() == letters
    other = Message(third.body, headers={**third.headers, GENERATION: 3})
    await stage.broker.publish(other, ToDeadLetters(stage.dlq))
    await stage.client.dead_letters.redrive("0" * 16)
    assert await stage.letters_queued() == [*letters, letters[2]], "another generation is another message"
