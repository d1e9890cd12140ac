"""Retry policies, in every spelling."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from pavane import DefinitionError, RetryPolicy


def test_the_defaults_are_the_documented_ones() -> None:
    policy = RetryPolicy()
    assert (policy.max_attempts, policy.initial_delay_ms, policy.max_delay_ms) == (5, 5000, 60_000)
    assert (policy.multiplier, policy.jitter, policy.jitter_mode) == (2.0, 0.1, "factor")


@pytest.mark.parametrize(
    "data",
    [
        {"max_attempts": 4, "initial_delay": 0.5, "max_delay": timedelta(seconds=90), "multiplier": 3},
        {"maxAttempts": 4, "initialDelayMs": 500, "maxDelayMs": 90_000, "multiplier": 3, "jitterFactor": 0.1},
        {
            "maximumAttempts": 4,
            "initialInterval": "500ms",
            "maximumInterval": "1m30s",
            "backoffCoefficient": 3,
        },
        {"MaxAttempts": 3, "IntervalSeconds": 0.5, "BackoffRate": 3, "max_delay": 90},
    ],
)
def test_every_spelling_gives_the_same_policy(data: dict[str, Any]) -> None:
    policy = RetryPolicy.from_mapping(data)
    assert (policy.max_attempts, policy.initial_delay_ms, policy.max_delay_ms) == (4, 500, 90_000)
    assert (policy.multiplier, policy.jitter) == (3, 0.1)


def test_what_a_mapping_leaves_out_has_the_defaults() -> None:
    assert RetryPolicy.from_mapping({}) == RetryPolicy()


@pytest.mark.parametrize(
    ("interval", "milliseconds"),
    [("1s", 1000), ("1.5s", 1500), ("2m", 120_000), ("1h30m", 5_400_000), ("1d", 86_400_000), (3, 3000)],
)
def test_intervals_are_read(interval: Any, milliseconds: int) -> None:
    assert RetryPolicy.from_mapping({"initialInterval": interval}).initial_delay_ms == milliseconds


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("visibilityTimeoutMs", r"\.lease\("),
        ("startToCloseTimeout", r"\.timeout\("),
        ("ErrorEquals", r"on=\["),
        ("max_atempts", "known are"),
    ],
)
def test_an_unknown_key_is_refused_by_name_with_the_call_to_use(key: str, words: str) -> None:
    with pytest.raises(DefinitionError, match=f"'{key}'.*{words}"):
        RetryPolicy.from_mapping({key: 1})


def test_a_field_given_in_two_spellings_is_refused() -> None:
    with pytest.raises(DefinitionError, match="max_attempts is given twice"):
        RetryPolicy.from_mapping({"max_attempts": 3, "maxAttempts": 4})


@pytest.mark.parametrize(
    "data",
    [
        {"initialInterval": "soon"},
        {"initialInterval": "5"},
        {"initialInterval": "-1s"},
        {"initialDelayMs": "500"},
        {"initialDelayMs": True},
        {"initialDelayMs": math.nan},
        {"maximumAttempts": 0},
        {"MaxAttempts": "3"},
        {"MaxAttempts": -1},
        {"BackoffRate": 0.5},
    ],
)
def test_a_value_that_cannot_be_used_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as caught:
        RetryPolicy.from_mapping(data)
    assert [problem.code for problem in caught.value.problems] == ["bad_value"]


@pytest.mark.parametrize(
    "fields",
    [
        {"max_attempts": 0},
        {"max_attempts": True},
        {"max_attempts": 2.5},
        {"initial_delay": -1},
        {"max_delay": math.inf},
        {"multiplier": 0.9},
        {"multiplier": math.nan},
        {"jitter": -0.1},
        {"jitter_mode": "some"},
        {"on": ValueError},
        {"on": [int]},
        {"reject_on": ["ValueError"]},
    ],
)
def test_a_field_that_cannot_be_used_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=next(iter(fields))) as caught:
        RetryPolicy(**fields)
    assert caught.value.problems[0].code == "bad_value"
    assert caught.value.problems[0].file == __file__


def test_all_wrong_fields_are_told_together() -> None:
    with pytest.raises(DefinitionError) as caught:
        RetryPolicy(max_attempts=0, jitter=-1, on=[5])  # type: ignore[list-item]
    assert len(caught.value.problems) == 3


def test_a_policy_cannot_change_and_can_be_compared() -> None:
    errors = [ValueError]
    policy = RetryPolicy(on=errors)
    errors.append(KeyError)  # type: ignore[arg-type]
    assert policy.on == (ValueError,)
    assert hash(policy) == hash(RetryPolicy(on=(ValueError,)))


def test_which_exceptions_are_rejected_at_once() -> None:
    anything = RetryPolicy()
    assert not anything.rejects(RuntimeError())
    only = RetryPolicy(on=[OSError], reject_on=[FileNotFoundError])
    assert not only.rejects(ConnectionError())
    assert only.rejects(RuntimeError())
    assert only.rejects(FileNotFoundError())
