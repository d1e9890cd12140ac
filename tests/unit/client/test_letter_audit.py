"""Every change to a dead letter is on record: who, when, why, and which job, whatever the change was."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest

from pavane import Client, LetterNotFound
from pavane.core.record import History
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
