"""The tap on a connection's socket: what it takes out, what it leaves to aiormq, and how frames may be cut."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
from aiormq.channel import Channel
from pamqp import body, commands, frame, header
from pamqp.heartbeat import Heartbeat

from pavane.adapters.rabbitmq.acks import Acks
from pavane.adapters.rabbitmq.confirms import Confirms
from pavane.adapters.rabbitmq.content import Deliveries
from pavane.adapters.rabbitmq.tap import Tap

HEARTBEAT = frame.marshal(Heartbeat(), 0)


class Socket(asyncio.Transport):
    """Stands in for the socket: keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing


class OpenChannel:
    """Stands in for aiormq's channel, which has not yet heard of its end."""

    number = 1
    is_closed = False


class Stream(asyncio.Protocol):
    """Stands in for aiormq's stream: keeps what it is given."""

    def __init__(self) -> None:
        self.given = b""
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.given += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


class Inbox:
    """A consumer's side of a channel."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, Mapping[str, Any], bytes]] = []
        self.taker = Deliveries(lambda *message: self.messages.append(message))

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.messages]


@pytest.fixture
async def socket() -> Socket:
    return Socket()


@pytest.fixture
async def stream() -> Stream:
    return Stream()


@pytest.fixture
async def tap(socket: Socket, stream: Stream) -> Tap:
    return Tap(socket, stream)


def message(
    channel: int, method: commands.Basic.Deliver | commands.Basic.Return, content: bytes, **properties: Any
) -> bytes:
    """The frames of a message whose body comes in pieces of five bytes."""
    about = header.ContentHeader(0, len(content), commands.Basic.Properties(**properties))
    pieces = [body.ContentBody(content[at : at + 5]) for at in range(0, len(content), 5)]
    return b"".join(frame.marshal(each, channel) for each in (method, about, *pieces))


def delivery(channel: int, tag: int, content: bytes, **properties: Any) -> bytes:
    method = commands.Basic.Deliver("consumer", tag, False, "exchange", "key")
    return message(channel, method, content, **properties)


def returned(channel: int, message_id: str, content: bytes = b"") -> bytes:
    method = commands.Basic.Return(312, "NO_ROUTE", "exchange", "key")
    return message(channel, method, content, message_id=message_id)


def confirmed(channel: int, number: int, *, multiple: bool = False) -> bytes:
    return frame.marshal(commands.Basic.Ack(number, multiple), channel)


async def test_however_the_stream_is_cut_each_frame_reaches_its_reader(tap: Tap, stream: Stream) -> None:
    inbox = Inbox()
    tap.serve(1, inbox.taker)
    others = [
        frame.marshal(commands.Basic.ConsumeOk("consumer"), 1),
        delivery(2, 1, b"of a channel that nobody serves"),
        frame.marshal(commands.Channel.Close(404, "NOT_FOUND", 0, 0), 1),
    ]
    everything = (
        others[0] + delivery(1, 1, b"") + others[1] + delivery(1, 2, b"a body of many pieces") + others[2]
    )
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(50):
        stream.given, inbox.messages = b"", []
        rest = everything
        while rest:
            cut = chance.randint(1, 30)
            tap.data_received(rest[:cut])
            rest = rest[cut:]
        assert stream.given.replace(HEARTBEAT, b"") == b"".join(others)
        assert [(tag, content) for tag, _, content in inbox.messages] == [
            (1, b""),
            (2, b"a body of many pieces"),
        ]


async def test_a_delivery_has_its_properties(tap: Tap) -> None:
    inbox = Inbox()
    tap.serve(1, inbox.taker)
    tap.data_received(delivery(1, 9, b"{}", headers={"pavane-run": "w:1"}, user_id="guest", message_id="m"))
    assert inbox.messages == [
        (9, {"headers": {"pavane-run": "w:1"}, "user_id": "guest", "message_id": "m"}, b"{}")
    ]


async def test_frames_of_two_channels_may_alternate(tap: Tap) -> None:
    first, second = Inbox(), Inbox()
    tap.serve(1, first.taker)
    tap.serve(2, second.taker)
    one, two = delivery(1, 1, b"the first message"), delivery(2, 1, b"the second message")
    while one or two:
        for data in (one, two):
            size = int.from_bytes(data[3:7], "big") + 8
            tap.data_received(data[:size])
        one, two = (data[int.from_bytes(data[3:7], "big") + 8 :] if data else data for data in (one, two))
    assert (first.bodies, second.bodies) == ([b"the first message"], [b"the second message"])


async def test_a_channel_whose_number_was_given_away_is_not_left_twice(tap: Tap) -> None:
    old, new = Inbox(), Inbox()
    tap.serve(1, old.taker)
    tap.serve(1, new.taker)
    tap.leave(1, old.taker)
    tap.data_received(delivery(1, 1, b"x"))
    assert (old.bodies, new.bodies) == ([], [b"x"])


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x01\x00\x01\x00\x00\x00\x01ab" + b"c" * 9]
)
async def test_what_is_no_frame_is_left_to_aiormq(tap: Tap, stream: Stream, garbage: bytes) -> None:
    tap.serve(1, Inbox().taker)
    tap.data_received(garbage)
    assert stream.given == garbage


async def test_a_receiver_that_raises_ends_neither_the_connection_nor_the_next_message(
    tap: Tap, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[int] = []

    def receive(tag: int, _properties: Mapping[str, Any], _body: bytes) -> None:
        if tag == 1:
            raise ZeroDivisionError
        got.append(tag)

    tap.serve(1, Deliveries(receive))
    tap.data_received(delivery(1, 1, b"x") + delivery(1, 2, b"y"))
    assert got == [2]
    assert "could not be read" in caplog.text


async def test_aiormq_sees_a_heartbeat_where_all_that_came_was_taken_out(tap: Tap, stream: Stream) -> None:
    tap.serve(1, Inbox().taker)
    for tag in range(1, 20):
        tap.data_received(delivery(1, tag, b"x"))
    assert stream.given == HEARTBEAT  # one a second at most


async def test_an_alarm_of_the_broker_is_seen_and_passed_on(tap: Tap, stream: Stream) -> None:
    blocked = frame.marshal(commands.Connection.Blocked("low on memory"), 0)
    unblocked = frame.marshal(commands.Connection.Unblocked(), 0)
    tap.data_received(blocked)
    assert tap.blocked
    tap.data_received(unblocked)
    assert not tap.blocked
    assert stream.given == blocked + unblocked


async def test_nothing_is_sent_on_a_channel_that_the_broker_has_ended(tap: Tap, socket: Socket) -> None:
    channel = cast("Channel", OpenChannel())
    acks = Acks(channel, tap)
    acks.delivered(7)
    tap.data_received(frame.marshal(commands.Channel.Close(404, "NOT_FOUND", 0, 0), 1))
    acks.settle(7)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert socket.written == []
    tap.data_received(frame.marshal(commands.Channel.OpenOk(), 1))
    acks.settle(7)
    acks.stop()
    assert socket.written == [frame.marshal(commands.Basic.Ack(7, True), 1)]


async def test_what_is_written_in_one_turn_goes_out_together(tap: Tap, socket: Socket) -> None:
    tap.write(b"one")
    tap.write(b"two")
    assert socket.written == []
    await asyncio.sleep(0)
    assert socket.written == [b"onetwo"]
    tap.write(b"three")
    tap.flush()
    assert socket.written == [b"onetwo", b"three"]
    socket.closing = True
    tap.write(b"four")
    await asyncio.sleep(0)
    assert socket.written == [b"onetwo", b"three"]


async def test_the_end_of_the_connection_reaches_aiormq(tap: Tap, stream: Stream) -> None:
    tap.connection_lost(None)
    assert stream.ended


def later() -> float:
    return asyncio.get_running_loop().time() + 60


async def test_confirms_settle_by_number_singly_and_together(tap: Tap) -> None:
    confirms = Confirms()
    tap.serve(1, confirms)
    waiting = [confirms.expect(f"m{number}", later()) for number in range(1, 6)]
    tap.data_received(confirmed(1, 4))
    assert [outcome.done() for outcome in waiting] == [False, False, False, True, False]
    tap.data_received(confirmed(1, 3, multiple=True))
    assert [outcome.done() for outcome in waiting] == [True, True, True, True, False]
    tap.data_received(frame.marshal(commands.Basic.Nack(5, False, False), 1))
    assert [outcome.result() for outcome in waiting] == ["confirmed"] * 4 + ["refused"]


@pytest.mark.parametrize("content", [b"", b"a body of several pieces"])
async def test_a_message_that_came_back_counts_as_returned_although_it_is_confirmed_too(
    tap: Tap, content: bytes
) -> None:
    confirms = Confirms()
    tap.serve(1, confirms)
    first, second = confirms.expect("m1", later()), confirms.expect("m2", later())
    tap.data_received(returned(1, "m1", content) + confirmed(1, 2, multiple=True))
    assert (first.result(), second.result()) == ("returned", "confirmed")


@pytest.mark.fault("B9")
async def test_what_is_not_confirmed_in_time_is_late_and_its_confirm_is_ignored() -> None:
    confirms = Confirms()
    now = asyncio.get_running_loop().time()
    second, first = confirms.expect("m1", now + 0.02), confirms.expect("m2", now + 0.01)
    third = confirms.expect("m3", now + 60)
    assert await first == "late"
    assert not second.done()
    assert await second == "late"
    data = confirmed(1, 3, multiple=True)
    confirms.take(1, data, 7, len(data) - 8)
    assert third.result() == "confirmed"


async def test_publishes_of_a_busy_process_whose_time_has_passed_are_late_and_numbered_as_the_broker_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    ordinary = loop.call_at

    def as_uvloop(at: float, call: Callable[[], object]) -> asyncio.Handle:
        """For a time that has passed it gives a handle that does not tell it."""
        return ordinary(at, call) if at > loop.time() else loop.call_soon(call)

    monkeypatch.setattr(loop, "call_at", as_uvloop)
    confirms = Confirms()
    first, second = confirms.expect("m1", loop.time() - 1), confirms.expect("m2", loop.time() - 2)
    third = confirms.expect("m3", later())
    assert (await first, await second) == ("late", "late")
    data = confirmed(1, 3)
    confirms.take(1, data, 7, len(data) - 8)
    assert third.result() == "confirmed"


async def test_a_caller_who_was_cancelled_disturbs_nobody() -> None:
    confirms = Confirms()
    gone, waiting = confirms.expect("m1", later()), confirms.expect("m2", later())
    gone.cancel()
    data = confirmed(1, 2, multiple=True)
    confirms.take(1, data, 7, len(data) - 8)
    assert waiting.result() == "confirmed"


async def test_the_end_of_the_channel_is_told_to_all_who_wait() -> None:
    confirms = Confirms()
    waiting = [confirms.expect(f"m{number}", later()) for number in range(3)]
    confirms.end(ConnectionResetError("gone"))
    for outcome in waiting:
        with pytest.raises(ConnectionResetError):
            await outcome
