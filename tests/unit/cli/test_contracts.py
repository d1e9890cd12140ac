"""`pavane contracts`: documents on stdout, exit codes, and files that are no such document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_runner import APP, Pavane

pavane = Pavane.on()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    done = pavane("contracts", "export", APP)
    assert done.code == 0, done
    file = tmp_path / "contracts.json"
    file.write_text(done.out)
    return file


def changed(file: Path, **fields: dict[str, Any]) -> Path:
    """A copy in which the class of `cli.placed` has other fields."""
    document = json.loads(file.read_text())
    [placed] = [event for event in document["events"] if event["name"] == "cli.placed"]
    placed["schema"]["properties"] = fields
    copy = file.with_name("changed.json")
    copy.write_text(json.dumps(document))
    return copy


def test_the_document_names_events_and_workflows(exported: Path) -> None:
    document = json.loads(exported.read_text())
    assert document["pavane_contracts"] == 1
    reserved = next(event for event in document["events"] if event["name"] == "cli.reserved")
    assert {name: reserved[name] for name in ("version", "reads", "owner", "outside")} == {
        "version": 1,
        "reads": [1],
        "owner": "stock",
        "outside": False,
    }
    assert reserved["schema"]["required"] == ["order", "item"]
    [orders] = document["workflows"]
    assert orders == {
        "name": "orders",
        "starts_with": "cli.placed",
        "completes_with": ["cli.confirmed"],
        "fails_with": ["cli.refused"],
        "deadline_s": None,
    }


def test_a_release_that_has_not_changed_says_so(exported: Path) -> None:
    assert pavane("contracts", "diff", str(exported), APP).out == "Nothing has changed.\n"
    assert pavane.json("contracts", "diff", str(exported), str(exported)) == {
        "breaking": False,
        "changes": [],
    }


def test_a_breaking_change_ends_with_1_and_a_remedy(exported: Path) -> None:
    newer = changed(exported, order={"type": "integer"}, item={"default": "book", "type": "string"})
    answer = pavane.json("contracts", "diff", str(exported), str(newer), code=1)
    assert answer["breaking"] is True
    [change] = answer["changes"]
    assert change.pop("remedy").startswith("Raise cli.placed to version 2")
    assert change == {
        "event": "cli.placed",
        "version": 1,
        "path": "order",
        "change": "type_changed",
        "breaking": True,
    }
    shown = pavane("contracts", "diff", str(exported), str(newer))
    assert shown.code == 1
    assert "cli.placed v1" in shown.out
    assert "type_changed" in shown.out


def test_a_harmless_change_ends_with_0_and_has_no_remedy(exported: Path) -> None:
    newer = changed(
        exported, order={"type": "string"}, item={"default": "book", "type": "string"}, note={"default": ""}
    )
    answer = pavane.json("contracts", "diff", str(exported), str(newer))
    assert [(one["change"], one["breaking"], one["remedy"]) for one in answer["changes"]] == [
        ("optional_field_added", False, None)
    ]


def test_a_document_comes_from_standard_input_too(exported: Path) -> None:
    done = pavane("contracts", "diff", "-", APP, "--json", input=exported.read_text())
    assert (done.code, done.document["breaking"]) == (0, False)


def test_names_in_a_document_cannot_reach_the_terminal(exported: Path) -> None:
    newer = changed(
        exported,
        **{"order": {"type": "string"}, "item": {"default": "book", "type": "string"}, "\x1b[2J": {}},
    )
    assert "\x1b" not in pavane("contracts", "diff", str(exported), str(newer)).out


BAD = {
    "no JSON": b"{",
    "another document": b'{"asyncapi": "3.0.0"}',
    "a newer form": b'{"pavane_contracts": 2, "events": []}',
    "no version": b'{"events": [{"name": "a"}]}',
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_file_that_is_no_such_document_is_refused_with_a_remedy(
    content: bytes, exported: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    done = pavane("contracts", "diff", str(exported), str(bad), "--json")
    assert (done.code, done.error["code"]) == (2, "usage_error")
    assert "bad.json" in done.error["message"]
    assert "contracts export" in done.error["remedy"]


@pytest.mark.parametrize("given", ["nowhere.json", "tests.nowhere:app", "."])
def test_what_cannot_be_read_is_refused_with_a_remedy(given: str, exported: Path) -> None:
    done = pavane("contracts", "diff", given, str(exported), "--json")
    assert (done.code, done.error["code"]) == (2, "usage_error")
    assert done.error["remedy"]


def test_two_documents_cannot_both_come_from_standard_input() -> None:
    done = pavane("contracts", "diff", "-", "-", "--json")
    assert (done.code, done.error["code"]) == (2, "usage_error")


@pytest.mark.parametrize("words", [("contracts", "export"), ("contracts", "diff"), ("asyncapi",)])
def test_the_help_has_an_example(words: tuple[str, ...]) -> None:
    done = pavane.outside(*words, "--help")
    assert done.code == 0
    assert f"pavane {' '.join(words)}" in done.out.split("Example: ")[1]


def test_without_an_app_it_is_asked_for() -> None:
    for words in (("contracts", "export"), ("asyncapi",)):
        done = pavane(*words, "--json")
        assert (done.code, done.error["message"]) == (2, "Which app?")


UNSAYABLE = """
from collections.abc import Callable
from pavane import App, Context, Event, Service
class Odd(Event, name="odd.thing", arbitrary_types_allowed=True):
    call: Callable[[], None]
service = Service("odd")
@service.queue_worker("take")
async def take(ctx: Context, odd: Odd) -> None: ...
app = App(services=[service])
"""


def test_a_field_without_a_json_schema_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_shop_of_test.py").write_text(UNSAYABLE)
    monkeypatch.syspath_prepend(tmp_path)
    for words in (("contracts", "export"), ("asyncapi",)):
        done = pavane(*words, "odd_shop_of_test:app", "--json")
        assert (done.code, done.error["code"]) == (2, "usage_error")
        assert "odd.thing" in done.error["message"]
        assert done.error["remedy"]
