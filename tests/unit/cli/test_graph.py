"""`pavane graph` without servers: formats, choices, JSON, and what it refuses."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from pavane.cli.program import execute

APP = "services.demo.stage:app"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAVANE_APP", "PAVANE_BROKER_URL", "PAVANE_STATE_URL"):
        monkeypatch.delenv(name, raising=False)


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What it prints on stdout, or, if it is to fail, on stderr."""
    assert execute(["graph", *words]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


@pytest.mark.parametrize(
    ("format", "begins"),
    [("mermaid", "flowchart TD\n"), ("dot", "digraph pavane {\n"), ("svg", "<svg xmlns=")],
)
def test_each_format_is_told_as_it_is(capsys: pytest.CaptureFixture[str], format: str, begins: str) -> None:
    text = said(capsys, APP, "--format", format)
    assert text.startswith(begins)
    assert "order.placed" in text
    assert "starts order_fulfilment" in text
    assert text.isascii()


def test_mermaid_is_the_format_if_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, APP) == said(capsys, APP, "--format", "mermaid")


def test_services_that_live_apart_are_drawn_together(capsys: pytest.CaptureFixture[str]) -> None:
    apart = [
        f"services.{name}:app" for name in ("orders", "inventory", "payments", "shipping", "notifications")
    ]
    together, one = json.loads(said(capsys, *apart, "--json")), json.loads(said(capsys, APP, "--json"))
    assert together == one


def test_json_has_the_picture_and_what_it_was_drawn_from(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(said(capsys, APP, "--format", "svg", "--json"))
    assert document.keys() == {"format", "picture", "nodes", "links"}
    ElementTree.fromstring(document["picture"])
    [placed] = [node for node in document["nodes"] if node["id"] == "event:order.placed"]
    assert placed == {
        "id": "event:order.placed",
        "kind": "event",
        "name": "order.placed",
        "notes": ["starts order_fulfilment"],
        "became": [],
        "roles": ["start"],
        "about": "",
        "state": None,
    }
    assert document["links"][0].keys() == {"source", "target", "kind", "state"}


def test_one_workflow_is_drawn_under_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, APP, "--workflow", "order_fulfilment")
    assert "%% order_fulfilment\n    %% From an order to its confirmation" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((APP, "--workflow", "nope\x1b"), "'nope\\x1b' is no workflow here."),
        ((APP, "--workflow", "order_fulfilment", "--run", "trips:1"), "'trips:1' is no run of"),
        ((APP, "--format", "png"), "png"),
        ((), "Which app?"),
        ((APP, "--run", "order_fulfilment:1"), "PAVANE_BROKER_URL"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    text = said(capsys, *words, code=2)
    assert message in text
    assert "\x1b[31" not in text


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Example: pavane graph shop:app" in " ".join(said(capsys, "--help").split())
