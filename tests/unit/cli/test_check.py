"""`pavane check`: which apps it takes, how it answers, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pavane.cli.apps import apps_in
from pavane.cli.program import execute

HEAD = "from pavane import Allow, App, Context, Event, Service, Workflow\n"
SHOP = (
    HEAD
    + """
class Ordered(Event, name="shop.ordered"): ...
class Packed(Event, name="shop.packed"): ...
class Noted(Event, name="shop.noted"): ...

orders = Workflow("orders", starts_with=Ordered, completes_with=[Packed])
shop = Service("shop")

@(shop.queue_worker("pack").emits(Packed, Noted))
async def pack(ctx: Context, ordered: Ordered) -> Packed:
    ctx.emit(Noted())
    return Packed()

"""
)
PLAIN = SHOP + "app = App(services=[shop], workflows=[orders])\n"
ACCEPTING = SHOP + (
    "app = App(services=[shop], workflows=[orders], allow=[\n"
    "    Allow('orphan_event', 'shop.noted', 'for the archive'), Allow('missing_undo', 'shop.pack', 'once')])\n"
)
ARCHIVE = (
    HEAD
    + """
class Noted(Event, name="shop.noted"): ...

archive = Service("archive")

@archive.queue_worker("keep")
async def keep(ctx: Context, noted: Noted) -> None: ...

app = App(services=[archive])
"""
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PAVANE_APP", raising=False)
    return tmp_path


def write(name: str, text: str) -> None:
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = execute(["check", *words, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out or err)


def codes(document: Any) -> list[tuple[str, str]]:
    return [(one["code"], one["subject"]) for one in document["findings"]]


def test_warnings_fail_only_if_strict(capsys: pytest.CaptureFixture[str]) -> None:
    write("shop.py", PLAIN)
    code, document = answer(capsys, "shop:app")
    assert (code, document["ok"], codes(document)) == (0, True, [("orphan_event", "shop.noted")])
    assert document["findings"][0]["file"] == "shop.py"
    code, document = answer(capsys, "shop:app", "--strict")
    assert (code, document["ok"]) == (1, False)


def test_what_is_allowed_is_shown_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    write("shop.py", ACCEPTING)
    code, document = answer(capsys, "shop:app", "--strict")
    assert (code, document["ok"]) == (0, True)
    assert [one["allowed"] for one in document["findings"]] == ["for the archive"]
    assert execute(["check", "shop:app", "--strict"]) == 0
    out, err = capsys.readouterr()
    assert "allowed orphan_event shop.noted  shop.py:" in out
    assert "Allowed: for the archive" in out
    assert "Allow('missing_undo', 'shop.pack') accepts nothing" in err


def test_people_read_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    write("shop.py", PLAIN)
    assert execute(["check", "shop:app"]) == 0
    out = capsys.readouterr().out
    assert "warning orphan_event shop.noted  shop.py:10\n" in out
    assert "Subscribe to it" in out


def test_apps_of_one_name_in_several_folders_are_several_programs(capsys: pytest.CaptureFixture[str]) -> None:
    write("one/service.py", PLAIN)
    write("two/service.py", ARCHIVE)
    code, document = answer(capsys, ".", "--strict")
    assert (code, codes(document)) == (0, [])
    assert execute(["check", "one", "two"]) == 0
    assert "Nothing found: 2 apps, 2 workers." in capsys.readouterr().out


def test_the_app_of_the_settings_is_taken_if_none_is_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("shop.py", PLAIN)
    assert answer(capsys)[0] == 2
    monkeypatch.setenv("PAVANE_APP", "shop:app")
    assert answer(capsys)[0] == 0


def test_apps_are_found_without_importing_anything(here: Path) -> None:
    write("a/__init__.py", "import pavane\nraise SystemExit\nfirst: pavane.App = pavane.App(services=[])\n")
    write("a/b/__init__.py", "")
    write(
        "a/b/c.py",
        "app = App(services=[])\nother = Service('x')\ndef make():\n    hidden = App(services=[])\n",
    )
    write("a/__main__.py", "app = App(services=[])\n")
    write("a/.hidden/d.py", "app = App(services=[])\n")
    write("env/pyvenv.cfg", "")
    write("env/e.py", "app = App(services=[])\n")
    write("loose/f.py", "app = App(services=[])\n")
    found = [(app.name, app.root, app.shown) for app in apps_in(Path("."))]
    assert found == [
        ("a:first", here, "a:first"),
        ("a.b.c:app", here, "a.b.c:app"),
        ("f:app", here / "loose", "loose/f.py:app"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("app = 1", "is no App"),
        ("raise ValueError('x')\napp = App()", "ValueError: x"),
        ("import sys\nsys.exit(3)\napp = App()", "ended while it was loaded, with code 3"),
        ("import os\nos._exit(4)\napp = App()", "ended while it was loaded, with code 4"),
    ],
)
def test_an_app_that_cannot_be_loaded_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    write("shop.py", text)
    code, document = answer(capsys, "shop:app")
    assert (code, document["error"]["code"]) == (2, "usage_error")
    assert says in document["error"]["message"]
    assert document["error"]["remedy"]


def test_a_folder_without_app_and_a_file_that_is_no_python_are_usage_errors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("empty/a.py", "x = 1\n")
    assert "No file in 'empty'" in answer(capsys, "empty")[1]["error"]["message"]
    write("broken/a.py", "app = App(\n")
    assert "a.py' cannot be read" in answer(capsys, "broken")[1]["error"]["message"]


def test_wrong_definitions_of_all_apps_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        write(
            f"{name}.py",
            f"from pavane import App, Service\ns = Service('{name.upper()}')\napp = App(services=[s])\n",
        )
    code, document = answer(capsys, "one:app", "two:app")
    assert (code, document["error"]["code"]) == (2, "definition_error")
    assert all(name in document["error"]["message"] for name in ("ONE", "TWO"))


def test_programs_that_cannot_run_together_are_a_definition_error(capsys: pytest.CaptureFixture[str]) -> None:
    write("one/service.py", PLAIN)
    write("two/service.py", PLAIN)
    code, document = answer(capsys, ".")
    assert (code, document["error"]["code"]) == (2, "definition_error")
    assert "shop.pack" in document["error"]["message"]


def test_what_an_app_prints_is_not_taken_for_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    write("shop.py", "import os\nprint('hello')\nos.write(1, b'world')\n" + ACCEPTING)
    assert answer(capsys, "shop:app", "--strict")[0] == 0
