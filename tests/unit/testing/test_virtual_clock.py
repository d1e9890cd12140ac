"""The clock that stands still until it is moved."""

from __future__ import annotations

import asyncio

from pavane.testing.clock import ReadersClock, VirtualClock


def test_alarms_ring_when_it_was_moved_and_in_order() -> None:
    clock, rung = VirtualClock(1000), list[str]()
    clock.call_at(1020, lambda: rung.append("late"))
    clock.call_at(1010, lambda: rung.append("first"))
    clock.call_at(1010, lambda: rung.append("second"))
    cancelled = clock.call_at(1005, lambda: rung.append("never"))
    cancelled.cancel()
    cancelled.cancel()
    assert (clock.next_at(), clock.ring(), clock.now()) == (1010, False, 1000)
    clock.move_to(1015)
    assert (clock.ring(), rung, clock.ring()) == (True, ["first", "second"], False)
    clock.move_to(1)
    assert (clock.now(), clock.next_at()) == (1015, 1020)
    clock.move_to(1020)
    clock.ring()
    assert (rung[-1], clock.next_at()) == ("late", None)


def test_an_alarm_may_cancel_the_next_and_ask_for_another() -> None:
    clock, rung = VirtualClock(0), list[str]()

    def first() -> None:
        second.cancel()
        clock.call_at(0, lambda: rung.append("third"))

    clock.call_at(0, first)
    second = clock.call_at(0, lambda: rung.append("second"))
    assert (clock.ring(), rung) == (True, [])
    assert (clock.ring(), rung) == (True, ["third"])


async def test_sleepers_wake_at_their_time_or_when_cancelled() -> None:
    clock = VirtualClock(0)
    sleepers = [asyncio.ensure_future(clock.sleep(duration)) for duration in (10, 20)]
    await asyncio.sleep(0)
    sleepers[1].cancel()
    clock.move_to(10)
    clock.ring()
    await asyncio.wait(sleepers)
    assert (sleepers[0].cancelled(), sleepers[1].cancelled(), clock.next_at()) == (False, True, None)


async def test_a_reader_s_waiting_moves_it() -> None:
    clock, moved = VirtualClock(5), list[int]()

    async def move(duration: int) -> None:
        moved.append(duration)

    readers = ReadersClock(clock, move)
    await readers.sleep(7)
    readers.call_at(9, lambda: None).cancel()
    assert (readers.now(), moved) == (5, [7])
