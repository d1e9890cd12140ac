"""What may be a name, a run id, a duration."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pavane.model.duration import LONGEST_MS, positive_ms, to_ms
from pavane.model.names import event_name_problem, name_problem, run_id_problem, split_run

HOSTILE = ["", " ", "a b", "a/b", "a{b}", "a*", "#", "a\n", "é", "a" * 10_000, "\x1b[31m", None, 5, b"a"]


@pytest.mark.parametrize("name", ["a", "reserve_stock", "a1", "a" * 63])
def test_good_names(name: str) -> None:
    assert name_problem(name) is None
    assert event_name_problem(name) is None


@pytest.mark.parametrize("name", [*HOSTILE, "A", "1a", "_a", "a-b", "a.b", "a" * 64])
def test_bad_names_are_told_in_a_short_printable_sentence(name: Any) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert problem.isprintable()
    assert len(problem) < 200


@pytest.mark.parametrize("name", ["order.placed", "a.b.c_d", "a" * 128])
def test_good_event_names(name: str) -> None:
    assert event_name_problem(name) is None


@pytest.mark.parametrize("name", [*HOSTILE, ".a", "a.", "a..b", "a.1", "Order.placed", "a" * 129])
def test_bad_event_names(name: Any) -> None:
    assert event_name_problem(name) is not None


@pytest.mark.parametrize("run_id", ["10248", "2026-01-01:VINET", "A.b_c", "x" * 128])
def test_good_run_ids(run_id: str) -> None:
    assert run_id_problem(run_id) is None
    assert split_run(f"orders:{run_id}") == ("orders", run_id)


@pytest.mark.parametrize("run_id", [*HOSTILE, "x" * 129])
def test_bad_run_ids(run_id: Any) -> None:
    assert run_id_problem(run_id) is not None
    if isinstance(run_id, str):
        assert split_run(f"orders:{run_id}") is None


@given(st.text())
def test_a_run_id_never_moves_a_key_or_a_route(run_id: str) -> None:
    if run_id_problem(run_id) is None:
        assert not set(run_id) & set("{}*#\r\n /\\")


@pytest.mark.parametrize("run", ["orders", "orders:", ":1", "Orders:1"])
def test_what_is_no_full_name_of_a_run(run: str) -> None:
    assert split_run(run) is None


@pytest.mark.parametrize(
    ("duration", "milliseconds"),
    [(0, 0), (1, 1000), (0.25, 250), (0.1 + 0.2, 300), (0.0001, 1), (timedelta(days=1), 86_400_000)],
)
def test_durations_are_whole_milliseconds_and_never_shorter(
    duration: float | timedelta, milliseconds: int
) -> None:
    assert to_ms(duration) == milliseconds


@pytest.mark.parametrize(
    "duration",
    [-1, -0.001, math.nan, math.inf, -math.inf, timedelta(seconds=-1), "5", None, True, 1e300, timedelta.max],
)
def test_a_duration_that_makes_no_sense_is_refused(duration: Any) -> None:
    with pytest.raises(ValueError, match="a duration"):
        to_ms(duration)


def test_zero_is_refused_where_it_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="zero"):
        positive_ms(0)


@given(st.floats(min_value=0, max_value=LONGEST_MS / 1000))
def test_conversion_never_makes_a_duration_shorter_than_a_microsecond_of_it(seconds: float) -> None:
    assert to_ms(seconds) >= seconds * 1000 - 0.001 - seconds * 1e-12
