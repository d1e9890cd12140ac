"""Names that must come out the same wherever they are made: record keys, step ids, event ids, letters, shards."""

from __future__ import annotations

import hashlib
import uuid
import zlib

NAMESPACE = uuid.UUID("6f0f7d56-5f5e-5f0c-9d6b-0c4d5b8e6a31")
"""The UUID namespace of every id that pavane derives."""


def derived(name: str) -> str:
    """The version 5 UUID of `name`, as text: `uuid.uuid5` in a fifth of its time, and every event needs one."""
    digits = bytearray(hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digits[6] = digits[6] & 0x0F | 0x50
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def run_key(workflow: str, run_id: str) -> str:
    """A run in full, `<workflow>:<run id>`: the key of its record."""
    return f"{workflow}:{run_id}"


def loose_key(event_id: str) -> str:
    """The key of the record of an event that belongs to no run. `~` starts no workflow's name."""
    return f"~{event_id}"


def step_id(worker: str, event_id: str) -> str:
    """A job's key: `<service.worker>:<event id>`."""
    return f"{worker}:{event_id}"


def emitted_id(record: str, step: str, ordinal: int, kind: str = "event") -> str:
    """The id of the `ordinal`-th event (or timer, `kind`) that a step emits: the same for every attempt."""
    return derived(f"{record}/{step}/{kind}/{ordinal}")


def joined_id(record: str, worker: str) -> str:
    """The id of a join's own event: a worker with `on_all` runs once in a run."""
    return derived(f"{record}/{worker}/joined")


def skipped_id(record: str, step: str, name: str, payload: bytes) -> str:
    """The id of the event that an operator commits instead of a step: another event has another id."""
    return derived(f"{record}/{step}/skipped/{name}/{digest(payload)}")


def edited_id(event: str, payload: bytes) -> str:
    """The id of the event that a dead letter is edited to: two letters of one event, edited alike, are one again."""
    return derived(f"{event}/edited/{digest(payload)}")


def idempotency_key(record: str, step: str, kind: str) -> str:
    """What handlers pass on to the outside: the same for all attempts and redrives; the undo has its own."""
    return derived(f"{record}/{step}/{kind}/key")


def time_ordered_id(now: int, randomness: bytes) -> str:
    """A new event's id, a UUIDv7: `now` in milliseconds, then 10 random bytes. Ids sort by their time."""
    bits = int.from_bytes(now.to_bytes(6, "big") + randomness[:10], "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))


def keyed_event_id(key: str) -> str:
    """The id of an event that a client emits under an idempotency key."""
    return derived(f"emit/{key}")


def letter_id(record: str, step: str, kind: str) -> str:
    """The id of a job's dead letter: 16 hex digits, the same each time that this job dies."""
    return hashlib.blake2b(f"{record}/{step}/{kind}".encode(), digest_size=8).hexdigest()


def digest(payload: bytes) -> str:
    """Tells two payloads of one starting event apart."""
    return hashlib.blake2b(payload, digest_size=16).hexdigest()


def shard_of(record: str, shards: int) -> int:
    """The shard a record lives in. Fixed for a namespace: changing `shards` would lose sight of every record."""
    return zlib.crc32(record.encode()) % shards
