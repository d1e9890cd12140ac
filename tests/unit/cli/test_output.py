"""What may reach a terminal, and what programs read."""

from __future__ import annotations

import json

import pytest

from pavane.cli.output import Output, clean, duration, plain, table, to_json
from pavane.model.views import Page, Skipped


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain ä 漢", "plain ä 漢"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028", r"\u2028"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_control_characters_are_shown_as_escapes(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


def test_a_traceback_keeps_its_lines() -> None:
    assert clean("a\n\tb\x1b", lines=True) == "a\n\tb\\x1b"


def test_json_is_printable_ascii_and_keeps_every_value() -> None:
    hostile = {"a\x1b": ["\x7f\x9b\u202e", "ä"], "n": 1.5, "none": None}
    text = to_json(hostile)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == hostile


def test_models_times_and_pages_become_json() -> None:
    page = Page[Skipped](items=[Skipped(id="1", reason="x")])
    assert plain({"page": page, "more": (1, [page])}) == {
        "page": {"items": [{"id": "1", "reason": "x"}], "cursor": None},
        "more": [1, [{"items": [{"id": "1", "reason": "x"}], "cursor": None}]],
    }


def test_nothing_in_data_is_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=False).show(table(("A",), [("[bold]:smile: x[/bold]",)]), "[red]y[/red]")
    out = capsys.readouterr().out
    assert "[bold]:smile: x[/bold]" in out
    assert "[red]y[/red]" in out


def test_errors_go_to_stderr_in_one_of_two_ways(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).error("a_code", "It broke.", "Mend it.")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err) == {
        "error": {"code": "a_code", "message": "It broke.", "remedy": "Mend it."}
    }
    Output(json=False).error("a_code", "It \x1b broke.", "Mend it.")
    assert capsys.readouterr().err == "Error: It \\x1b broke.\nMend it.\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.0124, "12 ms"), (5.25, "5.2 s"), (125, "2 min 5 s"), (7320, "2 h 2 min")],
)
def test_durations_for_people(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown
