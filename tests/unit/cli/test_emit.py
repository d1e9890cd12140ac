"""`pavane emit` on the pair in memory: where the event goes, what is refused, and the exit codes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pavane.cli import session
from pavane.ports.broker import Message
from tests.integration.cli_runner import APP, Pavane
from tests.unit.client.stage import Stage

RESERVED = '{"order":"1","item":"book"}'


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = asyncio.run(Stage.build())
    monkeypatch.setattr(session, "connect", lambda settings, **_: (made.store, made.broker))
    return made


@pytest.fixture
def pavane() -> Pavane:
    return Pavane.on(PAVANE_NAMESPACE="t", PAVANE_ACTOR="night shift", PAVANE_APP=APP)


def started(stage: Stage) -> str:
    return asyncio.run(stage.start("1"))


def queued(stage: Stage) -> list[Message]:
    async def look() -> list[Message]:
        await stage.broker.open()  # a command that was run before has closed it
        return await stage.empty(stage.queue)

    return asyncio.run(look())


def test_an_event_goes_into_a_run_with_who_emitted_it(stage: Stage, pavane: Pavane) -> None:
    run = started(stage)
    document = pavane.json("emit", "cli.reserved", "--run", run, "--payload", RESERVED, "--by", "operator-1")
    assert document.keys() == {"event_id"}
    record = asyncio.run(stage.record(run))
    event = record.events[document["event_id"]]
    assert (event.name, event.payload) == ("cli.reserved", RESERVED.encode())
    [line] = [line for line in record.history if line.kind == "event_emitted" and line.by == "operator-1"]
    assert line.cause == event.id


def test_the_same_key_gives_the_same_event_and_it_is_in_the_run_once(stage: Stage, pavane: Pavane) -> None:
    run = started(stage)
    words = ("emit", "cli.reserved", "--run", run, "--payload", RESERVED, "--idempotency-key", "transfer-1")
    first, again = [pavane.json(*words)["event_id"] for _ in range(2)]
    other = pavane.json(*words[:-1], "transfer-2")["event_id"]
    assert first == again != other
    record = asyncio.run(stage.record(run))
    assert [event.id for event in record.events.values() if event.name == "cli.reserved"] == [first, other]


def test_outside_a_run_it_goes_to_whoever_is_registered(stage: Stage, pavane: Pavane, tmp_path: Path) -> None:
    (tmp_path / "placed.json").write_text('{"order":"7"}')
    app = ("--app", "tests.unit.cli.emit_app:app")
    done = pavane("emit", "clienttest.placed", *app, "--payload", f"@{tmp_path}/placed.json")
    assert (done.code, done.err) == (0, "")
    [message] = queued(stage)
    assert (message.headers["cloudEvents_id"], message.body) == (done.out.strip(), b'{"order":"7"}')


def test_an_event_that_nobody_is_registered_for_is_said(stage: Stage, pavane: Pavane) -> None:
    done = pavane("emit", "cli.reserved", "--payload", "-", input=RESERVED)
    assert done.code == 0
    assert len(done.out.strip()) == 36
    assert done.err == "No worker is registered for cli.reserved, so nobody took it.\n"
    assert queued(stage) == []


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["nothing.such"], 2, "usage_error"),
        (["cli.reserved"], 2, "invalid_payload"),
        (["cli.reserved", "--payload", "{"], 2, "undecodable"),
        (["cli.reserved", "--payload", RESERVED, "--run", "no run"], 2, "usage_error"),
        (["cli.reserved", "--payload", RESERVED, "--idempotency-key", ""], 2, "usage_error"),
        (["cli.reserved", "--payload", RESERVED, "--by", "operator-1"], 2, "usage_error"),
        (["cli.reserved", "--payload", RESERVED, "--run", "orders:nothing"], 3, "run_not_found"),
    ],
)
def test_what_cannot_be_emitted_is_refused_and_nothing_is_sent(
    stage: Stage, pavane: Pavane, words: list[str], code: int, error: str
) -> None:
    done = pavane("emit", *words, "--json")
    assert (done.code, done.out, done.error["code"]) == (code, "", error)
    assert queued(stage) == []


def test_a_run_that_has_ended_takes_no_event(stage: Stage, pavane: Pavane) -> None:
    run = started(stage)
    pavane.json("runs", "cancel", run, "--yes")
    done = pavane("emit", "cli.reserved", "--run", run, "--payload", RESERVED, "--json")
    assert (done.code, done.error["code"]) == (5, "action_refused")


def test_an_unknown_event_is_answered_with_those_that_there_are(pavane: Pavane) -> None:
    done = pavane("emit", "cli.\x1b[31m", "--json")
    assert "cli.confirmed, cli.placed, cli.refused, cli.reserved" in done.error["remedy"]
    assert "\x1b" not in pavane("emit", "cli.\x1b[31m").err
