"""The picture of the order flow is the one that `pavane graph` draws of the services as they are."""

from __future__ import annotations

import pytest

from pavane.cli.program import execute
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "building-order-fulfilment.md"


def test_the_picture_is_what_pavane_draws(capsys: pytest.CaptureFixture[str]) -> None:
    [picture] = [block for block in blocks(PAGE) if block.language == "mermaid"]
    assert execute(["graph", "services.demo.stage:app"]) == 0
    message = f"{picture} is out of date: put there what `pavane graph services.demo.stage:app` prints"
    assert picture.code == capsys.readouterr().out, message
