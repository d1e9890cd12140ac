"""Turns of a rate limit: never too many, none wasted, first come first served."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pavane.core.limiting import Rate, Turns, give_back_turn, interval_of, take_turn

COUNT, PER = 5, 1_000
RATE = Rate(limiter="w", interval=interval_of(COUNT, PER), burst=COUNT)
T0 = 1_767_225_600_000


def test_a_burst_may_begin_at_once_and_the_rest_at_even_distances() -> None:
    turns, waits = Turns(), list[int]()
    for job in "abcdefgh":
        turns, wait = take_turn(turns, RATE, job, T0)
        waits.append(wait)
    assert waits == [0, 0, 0, 0, 0, 200, 400, 600]


def test_a_job_that_was_too_early_has_its_turn_kept() -> None:
    turns = Turns()
    for job in "abcdefg":
        turns, _ = take_turn(turns, RATE, job, T0)
    turns, wait = take_turn(turns, RATE, "g", T0 + 100)
    assert wait == 300
    turns, wait = take_turn(turns, RATE, "new", T0 + 400)
    assert wait == 200
    turns, wait = take_turn(turns, RATE, "g", T0 + 400)
    assert wait == 0
    assert set(turns.waiting) == {"f", "new"}


def test_a_turn_that_is_given_back_can_be_taken_by_another() -> None:
    turns = Turns()
    for job in "abcde":
        turns, _ = take_turn(turns, RATE, job, T0)
    turns, wait = take_turn(give_back_turn(turns, RATE, T0), RATE, "f", T0)
    assert wait == 0


def test_giving_back_after_a_rest_makes_no_turn() -> None:
    turns, _ = take_turn(Turns(), RATE, "a", T0)
    turns = give_back_turn(turns, RATE, T0 + 10_000)
    granted = 0
    for job in "bcdefghi":
        turns, wait = take_turn(turns, RATE, job, T0 + 10_000)
        granted += wait == 0
    assert granted == COUNT


def test_a_rate_that_does_not_divide_evenly_is_rounded_to_the_slower_side() -> None:
    assert interval_of(3, 1_000) == 333_334


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9), st.booleans()), max_size=120))
def test_however_they_ask_no_window_sees_more_than_the_burst_and_what_the_time_allows(
    asked: list[tuple[int, int, bool]],
) -> None:
    """Jobs ask at any time, again and again, some for the first time, and one in two whose turn it is gives it back."""
    turns, now, granted = Turns(), T0, list[int]()
    for pause, job, back in asked:
        now += pause
        turns, wait = take_turn(turns, RATE, str(job), now)
        if wait == 0 and back:
            turns = give_back_turn(turns, RATE, now)
        elif wait == 0:
            granted.append(now)
    for first, begin in enumerate(granted):
        for last in range(first, len(granted)):
            allowed = COUNT + (granted[last] - begin) * 1000 / RATE.interval
            assert last - first + 1 <= allowed
