"""Delays: their bounds in each mode, their spread, and that none is ever early."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from pavane.core import backoff
from pavane.model.policies import JitterMode, RetryPolicy

UNIT = 250
LAST_CHANCE = 1 - 2**-53
CHANCES = (0.0, 1e-6, 0.25, 0.5, 0.999, LAST_CHANCE)


def policy(mode: JitterMode = "none", **given: float) -> RetryPolicy:
    return RetryPolicy(jitter_mode=mode, **given)  # type: ignore[arg-type]


def delays(chosen: RetryPolicy, failures: int, previous: int = 0) -> list[int]:
    return [backoff.delay(chosen, failures, previous=previous, chance=chance) for chance in CHANCES]


def test_without_jitter_the_delay_grows_by_the_multiplier_up_to_its_cap() -> None:
    chosen = policy(initial_delay=1, multiplier=2, max_delay=10)
    found = [backoff.delay(chosen, n, previous=0, chance=0.9) for n in range(1, 8)]
    assert found == [1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]


def test_a_delay_is_rounded_up_to_the_wheels_unit_and_never_down() -> None:
    assert [backoff.round_up(ms) for ms in (0, 0.1, 1, 249.9, 250, 250.1, 999)] == [
        0,
        250,
        250,
        250,
        250,
        500,
        1_000,
    ]
    assert backoff.delay(policy(initial_delay=0.3), 1, previous=0, chance=0) == 500


def test_what_floating_point_adds_is_not_rounded_up_to_another_unit() -> None:
    chosen = policy(initial_delay=25, multiplier=1.1)
    assert backoff.base_delay(chosen, 2) > 27_500
    assert backoff.delay(chosen, 2, previous=0, chance=0) == 27_500


def test_a_very_late_attempt_waits_the_longest_delay_and_does_not_overflow() -> None:
    chosen = policy(initial_delay=5, multiplier=1e9, max_delay=60)
    assert backoff.delay(chosen, 1_000_000, previous=0, chance=0) == 60_000


def test_a_first_delay_above_the_cap_is_cut_to_it() -> None:
    assert backoff.delay(policy(initial_delay=90, max_delay=60), 1, previous=0, chance=0) == 60_000
    assert delays(policy("decorrelated", initial_delay=90, max_delay=60), 1) == [60_000] * len(CHANCES)


def test_no_delay_at_all_stays_none_in_every_mode() -> None:
    modes: tuple[JitterMode, ...] = ("factor", "full", "equal", "decorrelated", "none")
    for mode in modes:
        assert set(delays(policy(mode, initial_delay=0), 3)) == {0}


@pytest.mark.parametrize("failures", [1, 2, 3, 4, 9])
def test_factor_never_shortens_the_delay_and_adds_at_most_its_share(failures: int) -> None:
    chosen = policy("factor", initial_delay=5, multiplier=2, max_delay=60, jitter=0.5)
    base = int(backoff.base_delay(chosen, failures))
    found = delays(chosen, failures)
    assert found[0] == base
    assert found == sorted(found)
    assert found[-1] == backoff.round_up(base * 1.5)


@pytest.mark.parametrize("failures", [1, 2, 3, 4, 9])
def test_full_draws_from_nothing_to_the_base(failures: int) -> None:
    chosen = policy("full", initial_delay=5, multiplier=2, max_delay=60)
    base = int(backoff.base_delay(chosen, failures))
    found = delays(chosen, failures)
    assert found[:2] == [0, UNIT]
    assert found == sorted(found)
    assert found[-1] == base


@pytest.mark.parametrize("failures", [1, 2, 3, 4, 9])
def test_equal_keeps_half_of_the_base(failures: int) -> None:
    chosen = policy("equal", initial_delay=5, multiplier=2, max_delay=60)
    base = int(backoff.base_delay(chosen, failures))
    found = delays(chosen, failures)
    assert found[0] == base // 2
    assert found == sorted(found)
    assert found[-1] == base


@pytest.mark.parametrize(
    ("previous", "most"), [(0, 15_000), (5_000, 15_000), (12_000, 36_000), (50_000, 60_000)]
)
def test_decorrelated_draws_between_the_first_delay_and_three_times_the_last(
    previous: int, most: int
) -> None:
    chosen = policy("decorrelated", initial_delay=5, multiplier=2, max_delay=60)
    found = delays(chosen, 7, previous)
    assert found[0] == 5_000
    assert found == sorted(found)
    assert found[-1] == most


def test_the_same_chance_gives_the_same_delay() -> None:
    chosen = policy("full")
    assert delays(chosen, 4) == delays(chosen, 4)


WINDOWS: tuple[tuple[JitterMode, int, int], ...] = (
    ("factor", 8_000, 12_000),
    ("full", 0, 8_000),
    ("equal", 4_000, 8_000),
    ("decorrelated", 2_000, 18_000),
)
"""Of the third failure, initial delay 2 s, multiplier 2, jitter 0.5, previous delay 6 s."""


@pytest.mark.parametrize(("mode", "first", "last"), WINDOWS)
def test_delays_spread_evenly_over_their_window(mode: JitterMode, first: int, last: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    chosen = policy(mode, initial_delay=2, multiplier=2, max_delay=60, jitter=0.5)
    drawn = [backoff.delay(chosen, 3, previous=6_000, chance=rng.random()) for _ in range(16_000)]
    units = Counter((delay - first - 1) // UNIT for delay in drawn)
    size = (last - first) // UNIT
    assert set(units) <= set(range(size)), f"outside of {first} to {last} ms"
    expected = len(drawn) / size
    chi_square = sum((units[unit] - expected) ** 2 / expected for unit in range(size))
    assert chi_square < chi_square_bound(size - 1), f"{chi_square:.1f} with {size - 1} degrees of freedom"


def chi_square_bound(freedom: int) -> float:
    """What an even spread exceeds once in ten million times (Wilson and Hilferty's approximation, z = 5.2)."""
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + 5.2 * part**0.5) ** 3)
