"""Gathering the evidence through the ports: every record, and every message of every queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pavane.core.envelope import LETTER
from pavane.core.record import Record
from pavane.core.topology import Topology, queues_of
from pavane.ports.broker import Broker, Message
from pavane.ports.store import Place, RunQuery, Store
from tests.checker.evidence import Found, PlaceKind
from tests.checker.history import Entry
from tests.checker.recording_broker import of_message

AT_ONCE = 500
PLACES: dict[str, PlaceKind] = {
    "q": "queue",
    "undo": "queue",
    "dlq": "letters",
    "intake": "intake",
    "parked": "parked",
}


async def records_of(store: Store, history: Iterable[Entry]) -> dict[str, Record]:
    """Every run that the store lists, and every record that the history names."""
    keys = {entry.record for entry in history if entry.record}
    after: Place | None = None
    while places := await store.runs(RunQuery(newest_first=False), after=after, limit=AT_ONCE):
        keys |= {place.key for place in places}
        after = places[-1]
    found = {key: await store.read(key) for key in sorted(keys)}
    return {key: record for key, record in found.items() if record is not None}


async def messages_of(broker: Broker, topology: Topology, wheel: Sequence[str] = ()) -> list[Found]:
    """Every message of the topology's queues, and of those of the wheel that are named. Nothing is taken out, but
    each look counts as a delivery."""
    found: list[Found] = []
    for queue in (*queues_of(topology), *wheel):
        place = "wheel" if queue in wheel else place_of(queue)
        while (delivery := await broker.get(queue)) is not None:
            found.append(found_in(place, queue, delivery.message))
    await broker.give_back()
    return found


def place_of(queue: str) -> PlaceKind:
    """What kind of queue it is, by its name: `<namespace>.<what>.…`."""
    return PLACES[queue.split(".")[1]]


def found_in(place: PlaceKind, queue: str, message: Message) -> Found:
    """A message, as evidence."""
    letter = message.headers.get(LETTER, "") if place == "letters" else ""
    return Found(place=place, queue=queue, letter=str(letter), **of_message(message, queue))
