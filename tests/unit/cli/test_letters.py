"""`pavane dlq groups`, `export` and `edit` on the pair in memory: what they print, ask, and their exit codes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from pavane import App, Context, Service, Workflow
from pavane.cli import session
from pavane.core.record import History, Record
from pavane.model.views import DeadLetter, DeadLetterGroup
from tests.integration.cli_runner import Pavane
from tests.unit.client.stage import Confirmed, Placed, Stage

APP = "tests.unit.cli.test_letters:app"
EVIL = "boom \x1b[31m\u202e"


async def reserve(ctx: Context, event: Placed) -> Confirmed:
    return Confirmed(order=event.order)


stock = Service("stock")
stock.queue_worker("reserve").handler(reserve)
app = App(
    services=[stock],
    workflows=[
        Workflow("orders", starts_with=Placed, run_id=lambda event: event.order, completes_with=[Confirmed])
    ],
)


@dataclass
class Desk:
    """The program in front of a namespace in memory, whose worker the tests play."""

    pavane: Pavane
    stage: Stage

    def die(self, order: str, error: str = EVIL, policy: str = "stall") -> str:
        """Let a run's first step die; its letter's id."""

        async def die() -> str:
            await self.stage.broker.open()  # a command that was run before has closed it
            return await self.stage.die(await self.stage.start(order), error=error, policy=policy)

        return asyncio.run(die())

    def bodies(self) -> list[bytes]:
        """What is in the worker's queue; it is taken out."""

        async def look() -> list[bytes]:
            await self.stage.broker.open()
            return [message.body for message in await self.stage.empty(self.stage.queue)]

        return asyncio.run(look())

    def record(self, run: str) -> Record:
        return asyncio.run(self.stage.record(run))

    def redriven(self, run: str) -> History:
        [line] = [line for line in self.record(run).history if line.kind == "redriven"]
        return line


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    stage = asyncio.run(Stage.build())
    monkeypatch.setattr(session, "connect", lambda settings, **_: (stage.store, stage.broker))
    return Desk(Pavane.on(PAVANE_NAMESPACE="t", PAVANE_ACTOR="night shift"), stage)


# groups and export


def test_groups_are_counted_and_paged(desk: Desk) -> None:
    letters = [desk.die(order) for order in "abc"]
    page = desk.pavane.json("dlq", "groups", "--limit", "1")
    assert page.keys() == {"items", "cursor"}
    [group] = page["items"]
    assert group.keys() == DeadLetterGroup.model_fields.keys()
    assert (group["count"], group["example_id"], group["worker"]) == (3, letters[2], "stock.reserve")
    assert page["cursor"] is None
    assert desk.pavane.json("dlq", "groups", "--worker", "stock.other")["items"] == []
    human = desk.pavane("dlq", "groups")
    assert "ffffffffffff" in human.out
    assert "\x1b" not in human.out


def test_export_is_one_letter_a_line_and_nothing_a_terminal_would_obey(desk: Desk) -> None:
    letters = [desk.die(order) for order in "ab"]
    for words in ([], ["--json"], ["--unmask"]):
        done = desk.pavane("dlq", "export", *words)
        assert done.code == 0
        assert [line["id"] for line in done.lines] == letters
        assert done.lines[0].keys() == DeadLetter.model_fields.keys()
        assert done.lines[0]["error"] == EVIL
        assert done.out.replace("\n", "").isprintable()
        assert done.out.isascii()
    assert desk.pavane("dlq", "export", "--run", "orders:b").lines[0]["id"] == letters[1]
    assert desk.pavane("dlq", "export", "--run", "orders:c").out == ""


# edit


def test_a_patch_is_laid_over_the_payload_and_the_new_event_named(desk: Desk) -> None:
    letter = desk.die("a")
    desk.bodies()
    edited = desk.pavane.json(
        *("dlq", "edit", letter, "--patch", '{"order":"b","note":{"x":null}}'),
        *("--app", APP, "--by", "operator-1", "--reason", "typo", "--yes"),
    )
    assert edited.keys() == {"event_id"}
    assert [json.loads(body) for body in desk.bodies()] == [{"order": "b", "note": {}}]
    line = desk.redriven("orders:a")
    assert (line.by, line.reason, line.at > 0) == ("operator-1", "typo", True)
    assert dict(line.detail) == {"edited": edited["event_id"], "key": "kept"}
    assert desk.pavane.json("dlq", "ls")["items"] == []


def test_people_are_told_which_attempts_may_have_had_an_effect(desk: Desk) -> None:
    letter = desk.die("a")
    done = desk.pavane("dlq", "edit", letter, "--patch", '{"order":"b"}', "--yes")
    assert done.code == 0
    assert "These attempts may already have had an effect outside:\n  attempt 1" in done.out
    assert "rejected  Boom: boom \\x1b[31m\\u202e" in done.out
    assert "The idempotency key stays" in done.out
    assert "Not validated: give --app with the code of stock.reserve." in done.err
    assert "\x1b" not in done.out + done.err


def test_a_new_key_may_have_the_same_payload_and_an_old_one_may_not(desk: Desk) -> None:
    letter = desk.die("a")
    same = desk.pavane("dlq", "edit", letter, "--patch", "{}", "--yes", "--json")
    assert (same.code, same.error["code"]) == (2, "usage_error")
    assert f"dlq redrive {letter}" in same.error["remedy"]
    desk.pavane.json("dlq", "edit", letter, "--patch", "{}", "--new-key", "--yes")
    line = desk.redriven("orders:a")
    assert (line.by, dict(line.detail)["key"]) == ("night shift", "new")
    shown = desk.pavane("runs", "history", "orders:a").out
    assert "edited, with a new idempotency key" in shown


def test_what_the_class_does_not_take_is_refused_before_anything_happens(desk: Desk) -> None:
    letter = desk.die("a")
    before = desk.record("orders:a")
    done = desk.pavane("dlq", "edit", letter, "--patch", '{"order":null}', "--app", APP, "--yes", "--json")
    assert (done.code, done.error["code"]) == (2, "invalid_payload")
    assert "order" in done.error["message"]
    for patch in ("[1]", "{", '{"order":NaN}'):
        refused = desk.pavane("dlq", "edit", letter, "--patch", patch, "--app", APP, "--yes", "--json")
        assert (refused.code, refused.error["code"]) == (2, "usage_error"), patch
    other = "tests.integration.cli_shop:app"
    unknown = desk.pavane("dlq", "edit", letter, "--patch", '{"a":1}', "--app", other, "--yes", "--json")
    assert (unknown.code, unknown.error["code"]) == (2, "unknown_event")
    unasked = desk.pavane("dlq", "edit", letter, "--patch", '{"order":"b"}', "--app", APP, "--json")
    assert (unasked.code, unasked.error["code"]) == (2, "usage_error")
    assert desk.record("orders:a") == before


def test_without_a_patch_the_editor_is_opened(desk: Desk, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/seen\necho \'{{"order": "z"}}\' > "$1"\n')
    editor.chmod(0o700)
    letter = desk.die("a")
    desk.bodies()
    desk.pavane.environment["EDITOR"] = str(editor)
    desk.pavane.environment.pop("VISUAL", None)
    desk.pavane.json("dlq", "edit", letter, "--app", APP, "--yes")
    assert (tmp_path / "seen").read_text() == '{\n  "order": "a"\n}\n'
    assert [json.loads(body) for body in desk.bodies()] == [{"order": "z"}]


@pytest.mark.parametrize(
    ("editor", "said"), [("", "no editor"), ("false", "ended with 1"), ("/nowhere/ed", "cannot be started")]
)
def test_an_editor_that_fails_changes_nothing(desk: Desk, editor: str, said: str) -> None:
    letter = desk.die("a")
    desk.pavane.environment["EDITOR"] = editor
    desk.pavane.environment.pop("VISUAL", None)
    done = desk.pavane("dlq", "edit", letter, "--yes", "--json")
    assert (done.code, done.error["code"]) == (2, "usage_error")
    assert said in done.error["message"]
    assert letter in desk.record("orders:a").letters


def test_a_letter_that_may_not_be_edited_is_code_5_and_one_that_is_not_there_code_3(desk: Desk) -> None:
    letter = desk.die("a", policy="compensate")
    done = desk.pavane("dlq", "edit", letter, "--patch", '{"order":"b"}', "--yes", "--json")
    assert (done.code, done.error["code"]) == (5, "action_refused")
    assert done.error["remedy"]
    gone = desk.pavane("dlq", "edit", "nothing", "--patch", "{}", "--yes", "--json")
    assert (gone.code, gone.error["code"]) == (3, "letter_not_found")
