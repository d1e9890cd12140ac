"""Headers are written in one way and read with suspicion."""

from __future__ import annotations

import pytest

from pavane.core import envelope
from pavane.core.record import EventRow
from pavane.errors import Undecodable

EVENT = EventRow(
    id="6a9e1f4e-0000-5000-8000-000000000001",
    name="order.placed",
    version=2,
    time=1_700_000_000_123,
    payload=b"{}",
    producer="orders.accept",
    causation="cause-1",
    hops=3,
    trace=("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "vendor=1", "k=" + "v" * 2_000),
)


def read(headers: dict[str, object], content_type: str | None = "application/json") -> envelope.Envelope:
    return envelope.read(headers, b"{}", content_type)


def written(run: str = "orders:1") -> dict[str, object]:
    return dict(envelope.event_headers(EVENT, run))


def test_an_event_is_read_as_it_was_written() -> None:
    found = read(written())
    assert found.event == EVENT
    assert found.run == "orders:1"
    assert found.generation == 0
    assert found.kind == "step"
    assert found.cause == "orders.accept:cause-1"


def test_an_undo_is_read_as_it_was_written() -> None:
    step = f"orders.accept:{EVENT.id}"
    found = read(dict(envelope.undo_headers(EVENT, "orders:1", step, 2)))
    assert (found.kind, found.step, found.generation) == ("undo", step, 2)


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:", "ce-"])
def test_every_spelling_of_cloudevents_is_read(prefix: str) -> None:
    headers = {name.replace("cloudEvents_", prefix): value for name, value in written().items()}
    assert read(headers).event == EVENT


def test_a_copy_has_another_generation_and_nothing_of_the_broker_or_a_letter() -> None:
    headers = {**envelope.event_headers(EVENT, "orders:1"), "x-death": 1, envelope.LETTER: "abc"}
    copy = envelope.copy_headers(headers, 4)
    assert copy[envelope.GENERATION] == 4
    assert "x-death" not in copy
    assert envelope.LETTER not in copy
    assert copy["traceparent"] == EVENT.trace[0]


@pytest.mark.parametrize(
    "value",
    [-1, 2**31 + 1, 1e300, float("nan"), "7", True, None, b"1", [1]],
    ids=lambda value: repr(value)[:20],
)
@pytest.mark.fault("M2")
def test_a_generation_out_of_range_counts_as_absent(value: object) -> None:
    assert read({**written(), envelope.GENERATION: value}).generation == 0


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("cloudEvents_type", ""),
        ("cloudEvents_type", "Order Placed"),
        ("cloudEvents_type", 7),
        ("cloudEvents_id", ""),
        ("cloudEvents_id", "a b"),
        ("cloudEvents_id", "x" * 300),
        (envelope.RUN, "no workflow"),
        (envelope.RUN, "orders:a/b"),
        (envelope.RUN, "orders:" + "x" * 10_000),
        (envelope.RUN, "orders:{1}"),
        ("pad", "x" * 17_000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_identifies_the_event_must_be_right(header: str, value: object) -> None:
    with pytest.raises(Undecodable):
        read({**written(), header: value})


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-python-pickle", "application/jsonx"])
def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(Undecodable, match="not application/json"):
        read(written(), content_type)


@pytest.mark.parametrize("content_type", [None, "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_recognised(content_type: str | None) -> None:
    assert read(written(), content_type).event.id == EVENT.id


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59.999999+00:00",
        "0001-01-01T00:00:00",
        "1969-12-31T23:59:59.9995+00:00",
    ],
)
def test_a_time_that_is_read_can_be_written_again(time: str) -> None:
    """A held job is published again from its record: one time that cannot be written would stop them all."""
    read = envelope.when(time)
    assert abs(envelope.when(envelope.rfc3339(read)) - read) <= 1
