"""Trips: three bookings side by side, joined; none of them is left when one cannot be had, whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from contracts.trips import (
    CarBooked,
    CarUnavailable,
    FlightBooked,
    FlightUnavailable,
    HotelBooked,
    HotelUnavailable,
    TripConfirmed,
    TripRequested,
)
from pavane.testing import CrashPoint, FakeContext, FakeUndoContext
from services.trips import app
from services.trips.catalogue import fill
from services.trips.database import database_url
from services.trips.desk import Cancelled, open_desk
from services.trips.workers import book_hotel, cancel_hotel
from tests.services.agency import ENDINGS, KINDS, Agency, catalogue, open_agency, read_books, trip

WORKERS = tuple(worker.full_name for worker in app.workers)
UNDOS = tuple(worker.full_name for worker in app.workers if worker.compensation is not None)
POINTS: tuple[CrashPoint, ...] = ("receive", "begin", "handler", "commit", "publish", "mark")
EVENTS = (
    TripRequested,
    FlightBooked,
    FlightUnavailable,
    HotelBooked,
    HotelUnavailable,
    CarBooked,
    CarUnavailable,
    TripConfirmed,
)


@pytest.fixture
async def agency(data: Path) -> AsyncGenerator[Agency, None]:
    async with open_agency() as agency:
        yield agency


async def book_one_of_each(agency: Agency) -> None:
    """A trip for each ending, all at once."""
    runs = {city: await agency.request(city, str(number)) for number, city in enumerate(ENDINGS)}
    for city, run in runs.items():
        status = await run.wait()
        assert status.reason == ENDINGS[city]
    await agency.advance(3600)
    await agency.books()


# the endings


async def test_all_three_are_booked_and_the_traveller_is_told_once(agency: Agency) -> None:
    run = await agency.request()
    confirmed = await run.result()
    assert (confirmed.flight, confirmed.hotel, confirmed.car) == ("FLIGHT-1", "HOTEL-1", "CAR-1")
    assert confirmed.price == Decimal("300.30")
    await agency.until_idle()
    books = await agency.books()
    assert books.booked == {("1", kind): 1 for kind in KINDS}
    assert not books.cancelled
    assert [row.text for row in books.notices] == [
        "Have a good trip: FLIGHT-1, HOTEL-1, CAR-1, 300.30 dollars in all."
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_booked_already_is_cancelled_when_one_cannot_be_had(agency: Agency, kind: str) -> None:
    agency.hold(f"trips.book_{kind}")
    run = await agency.request(f"no {kind}")
    await agency.until_idle()
    others = {("1", other): 1 for other in KINDS if other != kind}
    assert (await read_books()).booked == others
    agency.release(f"trips.book_{kind}")
    await agency.until_idle()
    status = await agency.assert_status(run, "compensated")
    assert status.reason == f"{kind}.unavailable"
    assert (await agency.books()).cancelled == others
    agency.assert_not_emitted(TripConfirmed)


async def test_bookings_that_come_too_late_are_cancelled_too(agency: Agency) -> None:
    agency.hold("trips.book_flight")
    agency.hold("trips.book_car")
    run = await agency.request("no hotel")
    await agency.until_idle()
    await agency.assert_status(run, "compensating")
    agency.release("trips.book_flight")
    agency.release("trips.book_car")
    await agency.until_idle()
    await agency.assert_status(run, "compensated")
    late = {line.worker async for line in run.history() if line.kind == "step_late"}
    assert late == {"trips.book_flight", "trips.book_car"}
    assert (await agency.books()).cancelled == {("1", "flight"): 1, ("1", "car"): 1}
    for event in (FlightBooked, CarBooked):
        agency.assert_not_emitted(event)


async def test_flight_and_car_are_cancelled_side_by_side(agency: Agency) -> None:
    for worker in ("trips.book_car", "trips.book_hotel"):
        agency.hold(worker)
    run = await agency.request("no hotel")
    await agency.until_idle()
    agency.release("trips.book_car")  # booked last, so it would be cancelled first
    await agency.until_idle()
    agency.fail("trips.book_car", ConnectionError, undo=True)  # tried again later
    agency.release("trips.book_hotel")
    await agency.until_idle()
    undone = [line.worker async for line in run.history() if line.kind == "undo_done"]
    assert undone == ["trips.book_flight"], "the flight does not wait for the car"
    await run.wait()
    await agency.books()


async def test_the_last_seat_is_sold_once(data: Path) -> None:
    async with open_agency(opening=1) as agency:
        runs = [await agency.request("Lisbon", str(number)) for number in range(5)]
        statuses = [(await run.wait()).status for run in runs]
        await agency.advance(60)
        assert statuses.count("completed") <= 1
        assert set(statuses) <= {"completed", "compensated", "failed"}
        await agency.books()


# the join


@pytest.mark.parametrize("last", KINDS)
async def test_the_trip_is_confirmed_by_whichever_booking_comes_last(agency: Agency, last: str) -> None:
    agency.hold(f"trips.book_{last}")
    run = await agency.request()
    await agency.until_idle()
    assert not agency.calls("trips.confirm_trip")
    [waiting] = [one for one in (await run.status()).waiting_for if one.kind == "join"]
    assert waiting.ref == "trips.confirm_trip"
    agency.release(f"trips.book_{last}")
    confirmed = await run.result()
    assert (confirmed.flight, confirmed.hotel, confirmed.car) == ("FLIGHT-1", "HOTEL-1", "CAR-1")


async def test_the_join_fires_once_however_often_the_bookings_arrive(agency: Agency) -> None:
    for event in (FlightBooked, HotelBooked, CarBooked):
        agency.duplicate(event, times=5)
    run = await agency.request()
    await run.wait()
    await agency.advance(3600)
    assert len(agency.calls("trips.confirm_trip")) == 1
    agency.assert_emitted(TripConfirmed, count=1)
    assert [line.kind async for line in run.history()].count("gathered") == 1


async def test_the_join_of_a_trip_that_fails_never_fires(agency: Agency) -> None:
    run = await agency.request("no hotel")
    await run.wait()
    await agency.advance(3600)
    assert not agency.calls("trips.confirm_trip")


# whoever dies


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("worker", WORKERS)
async def test_a_process_that_dies_with_a_step_books_and_cancels_nothing_twice(
    agency: Agency, worker: str, point: CrashPoint
) -> None:
    agency.crash(worker, after=point)
    await book_one_of_each(agency)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("worker", UNDOS)
async def test_a_process_that_dies_with_an_undo_cancels_nothing_twice(
    agency: Agency, worker: str, point: CrashPoint
) -> None:
    agency.crash(worker, after=point, undo=True)
    await book_one_of_each(agency)


async def test_events_that_arrive_twice_do_nothing_twice(agency: Agency) -> None:
    for event in EVENTS:
        agency.duplicate(event, times=9)
    await book_one_of_each(agency)


@pytest.mark.parametrize("_round", range(3))
async def test_many_trips_and_many_deaths_still_add_up(_round: int, data: Path) -> None:
    seed = Random().randrange(10**6)
    print(f"seed {seed}")
    random = Random(seed)
    async with open_agency(opening=12, seed=seed) as agency:
        for _ in range(15):
            agency.crash(random.choice(WORKERS), after=random.choice(POINTS))
        for _ in range(10):
            agency.crash(random.choice(UNDOS), after=random.choice(POINTS), undo=True)
        runs = [await agency.request(random.choice([*ENDINGS]), str(number)) for number in range(30)]
        # Redriven before the runs' ends are waited for: a run that waits for a redrive meets its deadline there.
        await agency.advance(600)
        while letters := await agency.client.dead_letters.list().all():
            # A job in which three processes happened to die.
            assert {letter.reason for letter in letters} == {"crash_loop"}
            await agency.client.dead_letters.redrive(everything=True)
            await agency.advance(600)
        for run in runs:
            assert (await run.wait()).phase in ("completed", "compensated", "failed")
        await agency.advance(600)
        await agency.books()


# the desk


@pytest.mark.usefixtures("kind")
async def test_a_room_is_booked_and_cancelled_once_however_often_it_is_asked_for() -> None:
    await fill(database_url(), catalogue(opening=2))
    async with open_desk() as desk:
        answers = [await book_hotel(FakeContext(desk, attempt=n), trip()) for n in (1, 2, 3)]
        assert isinstance(answers[0], HotelBooked)
        assert answers[0] == answers[1] == answers[2]
        for attempt in (1, 2):
            await cancel_hotel(FakeUndoContext(desk, attempt=attempt), trip(), answers[0])
        with pytest.raises(Cancelled):
            await book_hotel(FakeContext(desk, run_id="late"), trip())
    books = await read_books()
    assert (books.booked, books.cancelled) == ({("1", "hotel"): 1}, {("1", "hotel"): 1})
    assert [row.free for row in books.offers if row.kind == "hotel" and row.city == "Lisbon"] == [2]


@pytest.mark.usefixtures("kind")
async def test_many_handlers_at_once_never_overbook() -> None:
    await fill(database_url(), catalogue(opening=10))
    async with open_desk() as desk, open_desk() as other:
        contexts = [FakeContext(one, run_id=f"{n}") for n, one in enumerate([desk, other] * 16)]
        answers = await asyncio.gather(*(book_hotel(ctx, trip(ctx.run_id)) for ctx in contexts))
    assert sum(isinstance(answer, HotelBooked) for answer in answers) == 10
    hotels = [row for row in (await read_books()).offers if row.kind == "hotel" and row.city == "Lisbon"]
    assert [row.free for row in hotels] == [0]


@pytest.mark.usefixtures("kind")
async def test_what_could_not_be_had_is_answered_the_same_although_there_is_one_by_now() -> None:
    async with open_desk() as desk:
        first = await book_hotel(FakeContext(desk), trip())
        await fill(database_url(), catalogue())
        assert isinstance(first, HotelUnavailable)
        assert await book_hotel(FakeContext(desk, attempt=2), trip()) == first
