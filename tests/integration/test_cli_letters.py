"""Dead letters grouped, exported and edited on real servers, with workers running beside."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pavane import Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.calls import Edit
from pavane.core.envelope import LETTER
from pavane.core.identity import edited_id
from pavane.core.topology import Names
from pavane.model.views import DeadLetter, DeadLetterGroup
from tests.integration.cli_runner import APP, Pavane
from tests.servers import RabbitServer, RedisServer


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("shop") / "poison"
    file.touch()
    return file


@pytest.fixture(scope="module")
def pavane(rabbit: RabbitServer, redis_server: RedisServer, poison: Path) -> Iterator[Pavane]:
    """The program in a namespace of its own, with workers."""
    program = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=f"t{secrets.token_hex(8)}",
        PAVANE_APP=APP,
        PAVANE_ACTOR="night shift",
        CLI_SHOP_POISON=str(poison),
    )
    with program.running() as workers:
        workers.wait_until_ready()
        yield program


def dead(pavane: Pavane) -> tuple[str, str]:
    """A run whose second step is dead, and the letter."""
    payload = f'{{"order":"p-{secrets.token_hex(4)}","item":"poison"}}'
    run: str = pavane.json("start", "orders", "--payload", payload)["run"]
    for _ in range(60):
        letters = pavane.json("dlq", "ls", "--run", run)["items"]
        if letters:
            return run, letters[0]["id"]
        pavane("runs", "watch", run, "--timeout", "0.5")
    raise AssertionError(f"{run} has no dead letter")


def ended(pavane: Pavane, run: str) -> list[dict[str, Any]]:
    """The run's history once it is completed."""
    watched = pavane("runs", "watch", run, "--timeout", "30", "--json")
    assert watched.code == 0, watched
    return watched.lines[:-1]


def test_an_edited_letters_job_runs_and_the_run_goes_on(pavane: Pavane) -> None:
    run, letter = dead(pavane)
    patch = ("--patch", '{"item":"book"}')
    refused = pavane("dlq", "edit", letter, "--patch", '{"item":["book"]}', "--yes", "--json")
    assert (refused.code, refused.error["code"]) == (2, "invalid_payload")
    edited = pavane.json(
        "dlq", "edit", letter, *patch, "--by", "operator-1", "--reason", "no such item", "--yes"
    )
    history = ended(pavane, run)
    [line] = [line for line in history if line["kind"] == "redriven"]
    assert (line["by"], line["reason"], line["worker"]) == ("operator-1", "no such item", "mail.confirm")
    assert line["detail"] == {"edited": edited["event_id"], "key": "kept"}
    steps = pavane.json("runs", "show", run)["steps"]
    [new] = [step for step in steps if step["step_id"] == f"mail.confirm:{edited['event_id']}"]
    assert (new["status"], new["event"]["payload"]["item"]) == ("committed", "book")
    again = pavane("dlq", "edit", letter, *patch, "--yes", "--json")
    assert (again.code, again.error["code"]) == (3, "letter_not_found")


def test_groups_and_export_show_what_the_letters_died_of(pavane: Pavane) -> None:
    runs = dict(dead(pavane) for _ in range(3))
    groups = pavane.json("dlq", "groups", "--worker", "mail.confirm")["items"]
    [group] = [group for group in groups if group["example_id"] in runs.values()]
    assert group.keys() == DeadLetterGroup.model_fields.keys()
    assert (group["count"] >= 3, group["error_type"]) == (True, "Reject")
    assert group["where"] == "cli_shop.py:confirm"
    done = pavane("dlq", "export", "--fingerprint", group["fingerprint"])
    assert set(runs.values()) <= {line["id"] for line in done.lines}
    assert done.lines[0].keys() == DeadLetter.model_fields.keys()
    assert done.out.replace("\n", "").isprintable()
    for letter in runs.values():
        pavane.json("dlq", "edit", letter, "--patch", '{"item":"book"}', "--yes")
    for run in runs:
        ended(pavane, run)


def test_an_edit_whose_sender_dies_before_it_has_published_is_published_by_the_relay(pavane: Pavane) -> None:
    run, letter = dead(pavane)

    async def edit_and_die() -> None:
        store, broker = connect(_settings(pavane))
        await open_pair(store, broker)
        found = await store.letter(letter)
        assert found is not None
        event = found.record.events[found.letter.event]
        body = event.payload.replace(b"poison", b"book")
        mended = replace(event, id=edited_id(event.id, body), payload=body, causation=event.id)
        answer = await store.edit(
            Edit(
                record=run,
                letter=letter,
                step=found.letter.step,
                generation=found.letter.generation,
                event=mended,
                by="operator-1",
            )
        )
        assert answer.outcome == "done"
        await close_pair(store, broker)

    asyncio.run(edit_and_die())
    ended(pavane, run)


def test_the_closed_letters_message_leaves_its_queue_with_the_next_round(pavane: Pavane) -> None:
    run, letter = dead(pavane)
    pavane.json("dlq", "edit", letter, "--patch", '{"item":"book"}', "--yes")
    ended(pavane, run)
    pavane.json("dlq", "redrive", "--all", "--yes")

    async def left() -> list[str]:
        store, broker = connect(_settings(pavane))
        await open_pair(store, broker)
        queue = Names(pavane.environment["PAVANE_NAMESPACE"]).dead_letter_queue("mail", "confirm")
        found: list[str] = []
        while (delivery := await broker.get(queue)) is not None:
            found.append(str(delivery.message.headers[LETTER]))
        await close_pair(store, broker)
        return found

    assert letter not in asyncio.run(left())


def _settings(pavane: Pavane) -> Settings:
    given = pavane.environment
    return Settings(
        broker_url=given["PAVANE_BROKER_URL"],
        state_url=given["PAVANE_STATE_URL"],
        namespace=given["PAVANE_NAMESPACE"],
    )
