"""The index of dead letters brought in line with the queues, whatever Redis has lost and whoever works beside."""

from __future__ import annotations

import pytest

from pavane import StateUnavailable
from pavane.client.audit import entries
from pavane.client.means import Means
from pavane.client.reindex import APART, SETTLED_FOR, Reindexed, reindex
from pavane.core.answers import Discarded
from pavane.core.calls import CopyMark, Discard, Mark, Redrive
from pavane.core.envelope import GENERATION, LETTER, REASON, RECORD, STEP, HeaderValue
from pavane.core.record import Record
from pavane.ports.broker import Message, ToDeadLetters
from pavane.settings import Settings
from tests.unit.client.stage import WORKER, Stage


@pytest.fixture
async def stage() -> Stage:
    return await Stage.build()


def means(stage: Stage) -> Means:
    return Means(stage.store, stage.broker, Settings(namespace="t", actor="tester"), stage.clock)


async def bring_in_line(stage: Stage) -> Reindexed:
    return await reindex(means(stage), by="operator-1", reason="restored")


async def listed(stage: Stage) -> list[str]:
    return [letter.id for letter in await stage.client.dead_letters.list().all()]


async def restored(stage: Stage, run: str, backup: Record | None) -> None:
    """Redis has forgotten what happened to this run since the backup."""
    stage.store._keep(run, backup)


async def test_nothing_changes_where_both_agree(stage: Stage) -> None:
    letters = [await stage.die(await stage.start(order)) for order in "abc"]
    before = [await stage.record(f"orders:{order}") for order in "abc"]
    stage.clock.time += SETTLED_FOR + 1
    sleeps = len(stage.clock.sleeps)
    assert await bring_in_line(stage) == Reindexed()
    assert await stage.letters_queued() == letters == await listed(stage)
    assert [await stage.record(f"orders:{order}") for order in "abc"] == before
    assert len(stage.clock.sleeps) == sleeps, "a second look is only for what was missing"


async def test_letters_that_an_older_backup_does_not_know_are_listed_and_their_runs_marked(
    stage: Stage,
) -> None:
    run = await stage.start("a")
    backup = await stage.record(run)
    letter = await stage.die(run)
    await stage.empty(stage.queue)
    await restored(stage, run, backup)
    assert await listed(stage) == []
    assert await bring_in_line(stage) == Reindexed(indexed=[letter])
    assert await listed(stage) == await stage.letters_queued() == [letter]
    status = await stage.client.run(run).status()
    assert (status.status, status.steps) == ("stalled", {"dead": 1})
    [line] = [line for line in await stage.store.history(run) if line.kind == "adopted"]
    assert (line.by, line.reason) == ("operator-1", "restored")
    assert await bring_in_line(stage) == Reindexed()
    assert (await stage.client.dead_letters.redrive(letter)).done == 1
    [copy] = await stage.empty(stage.queue)
    assert (copy.headers[GENERATION], copy.body) == (2, b'{"order":"a"}')
    await stage.begin(run, "again", generation=2)


async def test_a_letter_that_was_redriven_before_the_backup_does_not_come_back(stage: Stage) -> None:
    """Its message was left by a pass that was killed."""
    run = await stage.start("a")
    letter = await stage.die(run)
    await stage.empty(stage.queue)
    [message] = await stage.empty(stage.dlq)
    await stage.broker.publish(message, ToDeadLetters(stage.dlq))
    await stage.client.dead_letters.redrive(letter)
    await stage.empty(stage.queue)
    await stage.broker.publish(message, ToDeadLetters(stage.dlq))
    assert await bring_in_line(stage) == Reindexed()
    assert await stage.letters_queued() == await listed(stage) == []
    assert await stage.empty(stage.queue) == []


async def test_what_a_killed_pass_has_not_published_is_published(stage: Stage) -> None:
    run = await stage.start("a")
    letter = await stage.die(run)
    await stage.empty(stage.queue)
    [step] = (await stage.record(run)).steps
    await stage.store.redrive(
        Redrive(record=run, letter=letter, step=step, kind="step", generation=1, pass_id="dead")
    )
    assert await bring_in_line(stage) == Reindexed()
    assert len(await stage.empty(stage.queue)) == 1
    assert await stage.letters_queued() == []


async def test_a_discarded_letter_does_not_come_back(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    [message] = await stage.empty(stage.dlq)
    await stage.broker.publish(message, ToDeadLetters(stage.dlq))
    await stage.client.dead_letters.discard(letter, then="leave")
    await stage.broker.publish(message, ToDeadLetters(stage.dlq))
    assert await bring_in_line(stage) == Reindexed()
    assert await stage.letters_queued() == await listed(stage) == []


async def test_a_letter_whose_run_is_lost_is_listed_outside_of_it_and_can_be_redriven(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    await stage.empty(stage.queue)
    await restored(stage, "orders:a", None)
    assert await bring_in_line(stage) == Reindexed(indexed=[letter])
    [shown] = await stage.client.dead_letters.list().all()
    assert (shown.id, shown.run, shown.kind, shown.reason) == (letter, None, "message", "rejected")
    assert shown.event is not None
    assert shown.event.payload == {"order": "a"}
    assert await bring_in_line(stage) == Reindexed()
    assert (await stage.client.dead_letters.redrive(letter)).done == 1
    assert len(await stage.empty(stage.queue)) == 1
    assert await stage.letters_queued() == await listed(stage) == []


async def test_an_undos_letter_of_a_lost_run_is_not_dropped_as_dealt_with(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    await stage.empty(stage.queue)
    [message] = await stage.empty(stage.dlq)
    undo = Message(message.body, headers={**message.headers, "pavane-kind": "undo"})
    await stage.broker.publish(undo, ToDeadLetters(stage.dlq))
    await restored(stage, "orders:a", None)
    assert await bring_in_line(stage) == Reindexed(indexed=[letter])
    assert (await stage.client.dead_letters.redrive(letter)).done == 1
    assert len(await stage.empty(stage.queue)) == 1


async def test_what_nobody_can_decode_is_listed_with_its_bytes(stage: Stage) -> None:
    headers: dict[str, HeaderValue] = {
        LETTER: "0123456789abcdef",
        REASON: "undecodable",
        RECORD: "~0123",
        GENERATION: 1,
    }
    await stage.broker.publish(Message(b"\xff{", headers=headers), ToDeadLetters(stage.dlq))
    await stage.broker.publish(Message(b"stray", headers={"foreign": 1}), ToDeadLetters(stage.dlq))
    found = await bring_in_line(stage)
    assert found.indexed == ["0123456789abcdef"]
    assert list(found.left) == [f"a message in {stage.dlq}"]
    [shown] = await stage.client.dead_letters.list().all()
    assert (shown.kind, shown.raw, shown.event) == ("message", "/3s=", None)
    assert (await stage.client.dead_letters.discard(shown.id, reason="seen")).done == 1
    assert [message.body for message in await stage.empty(stage.dlq)] == [b"stray"]


async def test_a_forged_record_files_nothing_in_it(stage: Stage) -> None:
    headers = {LETTER: "0123456789abcdef", REASON: "rejected", RECORD: "not a run", STEP: f"{WORKER}:x"}
    await stage.broker.publish(Message(b"{}", headers=headers), ToDeadLetters(stage.dlq))
    assert (await bring_in_line(stage)).indexed == ["0123456789abcdef"]
    [shown] = await stage.client.dead_letters.list().all()
    assert shown.run is None


async def test_an_entry_without_a_letter_goes_after_a_second_look(stage: Stage) -> None:
    letter, other = [await stage.die(await stage.start(order)) for order in "ab"]
    kept, gone = await stage.empty(stage.dlq)
    assert gone.headers[LETTER] == other
    await stage.broker.publish(kept, ToDeadLetters(stage.dlq))
    assert await bring_in_line(stage) == Reindexed(), "it died just now: its message may be on its way"
    stage.clock.time += SETTLED_FOR + 1
    assert await bring_in_line(stage) == Reindexed(removed=[other])
    assert stage.clock.sleeps[-1] == APART
    assert await listed(stage) == await stage.letters_queued() == [letter]
    status = await stage.client.run("orders:b").status()
    assert (status.status, [reason.partition(":")[0] for reason in status.stalled]) == (
        "stalled",
        ["discarded"],
    )


async def test_a_letter_that_turns_up_in_between_is_kept(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    taken = await stage.broker.get(stage.dlq)
    assert taken is not None
    stage.clock.time += SETTLED_FOR + 1
    queue = stage.broker._queues[stage.dlq]
    stage.clock.asleep = queue.taken.give_back  # a pass that died held it
    assert await bring_in_line(stage) == Reindexed()
    assert await listed(stage) == await stage.letters_queued() == [letter]


async def test_an_entry_whose_letter_is_not_confirmed_is_kept(stage: Stage) -> None:
    """The job's own delivery comes again, and publishes it."""
    run = await stage.start("a")
    letter = await stage.die(run)
    [step] = (await stage.record(run)).steps
    record = await stage.record(run)
    record.steps[step].work.unpublished = "letter"
    stage.store._keep(run, record)
    await stage.empty(stage.dlq)
    stage.clock.time += SETTLED_FOR + 1
    assert await bring_in_line(stage) == Reindexed()
    assert await listed(stage) == [letter]
    await stage.store.mark(Mark(record=run, copies=(CopyMark(step=step, kind="step", generation=1),)))
    assert (await bring_in_line(stage)).removed == [letter]


async def test_nothing_is_removed_while_something_waits_in_the_intake(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    for _ in range(21):  # looked at too often by somebody else's tool
        taken = await stage.broker.get(stage.dlq)
        if taken is not None:
            await stage.broker.give_back()
    stage.clock.time += SETTLED_FOR + 1
    found = await bring_in_line(stage)
    assert (found.removed, list(found.left)) == ([], [letter])
    assert "intake" in found.left[letter]
    assert await listed(stage) == [letter]


async def test_a_letter_that_died_again_meanwhile_is_kept(stage: Stage) -> None:
    run = await stage.start("a")
    letter = await stage.die(run)
    await stage.empty(stage.dlq)
    [step] = (await stage.record(run)).steps
    stage.clock.time += SETTLED_FOR + 1
    discard = stage.store.discard

    async def after_it_died_again(call: Discard) -> Discarded:
        again = Redrive(record=run, letter=letter, step=step, kind="step", generation=1, pass_id="other")
        await stage.store.redrive(again)
        await stage.die(run, generation=2)
        return await discard(call)

    stage.store.discard = after_it_died_again  # type: ignore[method-assign]
    assert await bring_in_line(stage) == Reindexed()
    assert await listed(stage) == await stage.letters_queued() == [letter]


async def test_a_queue_that_another_pass_goes_through_is_left(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    await stage.empty(stage.dlq)
    stage.clock.time += SETTLED_FOR + 1
    await stage.store.claim(f"dlq/{stage.dlq}", "somebody", 30_000)
    found = await bring_in_line(stage)
    assert (found.removed, list(found.left)) == ([], [stage.dlq])
    assert await listed(stage) == [letter]


async def test_a_queue_that_does_not_exist_is_no_proof(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    stage.clock.time += SETTLED_FOR + 1
    del stage.broker._queues[stage.dlq]
    found = await bring_in_line(stage)
    assert (found.removed, list(found.left)) == ([], [stage.dlq])
    assert await listed(stage) == [letter]


async def test_a_kill_in_between_leaves_nothing_undone_after_the_next(stage: Stage) -> None:
    runs = [await stage.start(order) for order in "abc"]
    letters = [await stage.die(run) for run in runs]
    for run in runs:
        await restored(stage, run, None)
    file, filed = stage.store.file, 0

    async def dies(call):
        nonlocal filed
        filed += 1
        if filed == 2:
            raise StateUnavailable("killed")
        return await file(call)

    stage.store.file = dies  # type: ignore[method-assign]
    with pytest.raises(StateUnavailable):
        await bring_in_line(stage)
    stage.store.file = file  # type: ignore[method-assign]
    stage.clock.time += 31_000
    await bring_in_line(stage)
    assert sorted(await listed(stage)) == sorted(letters) == sorted(await stage.letters_queued())


async def test_it_is_in_the_audit(stage: Stage) -> None:
    letter = await stage.die(await stage.start("a"))
    await restored(stage, "orders:a", None)
    await bring_in_line(stage)
    done, begun = await entries(means(stage)).all()
    assert (begun.action, begun.outcome, begun.subjects) == ("dlq reindex", "begun", [WORKER])
    assert (done.outcome, done.subjects, done.by, done.reason) == (
        "done",
        [letter],
        "operator-1",
        "restored",
    )


async def test_the_audit_says_when_nothing_was_out_of_line(stage: Stage) -> None:
    await stage.die(await stage.start("a"))
    await bring_in_line(stage)
    lines = await entries(means(stage)).all()
    assert [(line.outcome, line.subjects) for line in lines] == [("done", []), ("begun", [WORKER])]
