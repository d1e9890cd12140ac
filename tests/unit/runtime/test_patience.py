"""What is said of an outage, how often, and what is known of it afterwards."""

from __future__ import annotations

import logging
from random import Random

import pytest

from pavane.errors import InfrastructureError, StateLost, StateUnavailable
from pavane.runtime.clock import SystemClock
from pavane.runtime.patience import Patience


def test_an_outage_is_said_once_and_a_lost_state_once_more_with_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience = Patience(SystemClock(), Random(1))
    away, lost = StateUnavailable("Redis cannot be reached"), StateLost("what was acknowledged may be gone")
    for error in (away, away, lost, lost):
        patience.noticed("state", error)
        assert patience.missed("state") is error
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert "PAVANE_STATE_URL" in caplog.messages[0]
    assert "topology apply --new-epoch" in caplog.messages[1]
    patience.answered("state")
    assert patience.missed("state") is None


def test_what_concerns_one_call_is_no_outage() -> None:
    patience = Patience(SystemClock(), Random(1))
    patience.noticed("state", InfrastructureError("a key holds something else"))
    assert patience.missed("state") is None
