"""Every change to a dead letter is on record: who, when, why, and which job, whatever the change was."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from pavane import ActionRefused, Client, LetterNotFound, Overloaded, Settings, StateUnavailable
from pavane.client import audit
from pavane.client.means import Means
from pavane.client.steering import Wish, steer_all
from pavane.core.record import History
from pavane.ports.store import AuditLine
from tests.unit.client.stage import WORKER, Stage

Change = Callable[[Client, str], Awaitable[object]]

CHANGES: dict[str, Change] = {
    "redrive": lambda client, id_: client.dead_letters.redrive(id_, by="operator-1", reason="mended"),
    "discard and compensate": lambda client, id_: client.dead_letters.discard(
        id_, then="compensate", by="operator-1", reason="mended"
    ),
    "discard and leave": lambda client, id_: client.dead_letters.discard(
        id_, then="leave", by="operator-1", reason="mended"
    ),
    "edit": lambda client, id_: client.dead_letters.edit(
        id_, {"order": "z"}, by="operator-1", reason="mended"
    ),
}


async def lines(stage: Stage, run: str) -> list[History]:
    return await stage.store.history(run)


@pytest.mark.parametrize("change", CHANGES)
async def test_who_when_and_why_are_in_the_history_once(change: str) -> None:
    stage = await Stage.build()
    run = await stage.start("a")
    letter = await stage.die(run)
    [row] = (await stage.record(run)).steps.values()
    before = await lines(stage, run)
    stage.clock.time += 7
    await CHANGES[change](stage.client, letter)
    with contextlib.suppress(LetterNotFound):  # done again, it changes nothing and adds nothing
        await CHANGES[change](stage.client, letter)
    [line] = [line for line in (await lines(stage, run))[len(before) :] if line.step and line.by]
    assert (line.by, line.at, line.worker, line.step) == ("operator-1", stage.clock.time, WORKER, row.step)
    assert "mended" in (line.reason, dict(line.detail).get("why"))


@pytest.mark.parametrize("change", CHANGES)
async def test_the_actor_is_who_the_settings_name_where_nobody_else_is_named(change: str) -> None:
    stage = await Stage.build()
    run = await stage.start("a")
    letter = await stage.die(run)
    letters = stage.client.dead_letters
    match change:
        case "redrive":
            await letters.redrive(letter, reason="mended")
        case "edit":
            await letters.edit(letter, {"order": "z"}, reason="mended")
        case _:
            await letters.discard(letter, reason="mended", then="leave")
    assert [line.by for line in await lines(stage, run) if line.by] == ["tester", "tester"]


async def told(stage: Stage) -> list[tuple[str, str, str, str | None, tuple[str, ...]]]:
    """The audit, oldest line first."""
    lines = await stage.store.audited()
    return [(line.action, line.outcome, line.by, line.reason, line.subjects) for line in reversed(lines)]


@pytest.mark.parametrize("change", CHANGES)
async def test_the_audit_says_it_too_before_and_after(change: str) -> None:
    stage = await Stage.build()
    letter = await stage.die(await stage.start("a"))
    await CHANGES[change](stage.client, letter)
    action = f"dlq {change.split()[0]}"
    assert await told(stage) == [
        (action, outcome, "operator-1", "mended", (letter,)) for outcome in ("begun", "done")
    ]


async def test_a_dry_run_and_what_finds_nothing_leave_no_line() -> None:
    stage = await Stage.build()
    await stage.die(await stage.start("a"))
    await stage.client.dead_letters.redrive(everything=True, dry_run=True)
    await stage.client.dead_letters.discard(worker="no.body")
    assert await told(stage) == []


async def test_a_pass_that_fails_half_way_says_what_it_did_and_what_it_did_not() -> None:
    stage = await Stage.build()
    first, second = [await stage.die(await stage.start(order)) for order in "ab"]
    await stage.empty(stage.queue)

    def full() -> None:
        stage.broker._queues[stage.queue].max_length = 1

    stage.clock.asleep = full
    with pytest.raises(Overloaded):
        await stage.client.dead_letters.redrive(everything=True, rate=1, reason="mended")
    lines = await told(stage)
    assert [(outcome.partition(":")[0], subjects) for _, outcome, _, _, subjects in lines] == [
        ("begun", (first, second)),
        ("done", (first,)),
        ("failed", (second,)),
    ]


async def test_nothing_is_changed_where_nothing_can_be_written_down() -> None:
    stage = await Stage.build()
    letter = await stage.die(await stage.start("a"))

    async def refuses(line: AuditLine) -> None:
        raise StateUnavailable("the audit is out of reach")

    stage.store.audit = refuses  # type: ignore[method-assign]
    with pytest.raises(StateUnavailable):
        await stage.client.dead_letters.redrive(letter)
    assert await stage.letters_queued() == [letter]
    assert letter in (await stage.record("orders:a")).letters


async def test_many_letters_take_several_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SUBJECTS_IN_A_LINE", 2)
    stage = await Stage.build()
    letters = [await stage.die(await stage.start(order)) for order in "abc"]
    await stage.client.dead_letters.redrive(everything=True)
    assert [(line[1], line[4]) for line in await told(stage)] == [
        ("begun", tuple(letters[:2])),
        ("begun", tuple(letters[2:])),
        ("done", tuple(letters[:2])),
        ("done", tuple(letters[2:])),
    ]


async def test_what_is_done_to_runs_is_there_too() -> None:
    stage = await Stage.build()
    a, b = await stage.start("a"), await stage.start("b")
    await stage.client.run(a).pause("inventory", by="operator-1")
    await stage.client.run(a).move_deadline(datetime(2030, 1, 1, tzinfo=UTC), reason="late", by="operator-2")
    await stage.client.run(a).cancel("given up")
    with pytest.raises(ActionRefused):
        await stage.client.run(a).pause("again")
    await steer_all(stage_means(stage), Wish(verb="compensate", reason="closed"), [a, b], dry_run=False)
    lines = [(action, outcome, by, subjects) for action, outcome, by, _, subjects in await told(stage)]
    assert [line[1] for line in lines if line[:1] == ("runs pause",)][:2] == ["begun", "done"]
    assert ("runs deadline", "done", "operator-2", (a,)) in lines
    assert ("runs cancel", "done", "tester", (a,)) in lines
    assert lines[-3:] == [
        ("runs compensate", "begun", "tester", (a, b)),
        ("runs compensate", "done", "tester", (b,)),
        ("runs compensate", "skipped", "tester", (a,)),
    ]
    refused = [line for line in lines if line[1].startswith("failed")]
    assert [(line[0], line[3]) for line in refused] == [("runs pause", (a,))]


def stage_means(stage: Stage) -> Means:
    return Means(stage.store, stage.broker, Settings(namespace="t", actor="tester"), stage.clock)
