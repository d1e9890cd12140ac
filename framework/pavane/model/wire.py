"""Between an event and its bytes: `encode`, and `decode` with its upcasters and its limits."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import pydantic_core
from pydantic import ValidationError

from pavane.errors import InvalidPayload, Undecodable, UnknownEvent, UsageError
from pavane.model.event import Event, upcasters_of

E = TypeVar("E", bound=Event)

DEEPEST = 64
"""How deep JSON may be nested."""

MOST_VALUES = 50_000
"""How many values JSON may hold. Empty arrays are the dearest: a body of 256 KiB may hold 87,000 of them and take
50 ms of the event loop, and `max_body` may be raised."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_NOT_A_NUMBER = (b"NaN", b"Infinity")


def encode(event: Event) -> bytes:
    """The event's payload as JSON.

    Raises:
        UsageError: a field's value cannot be written as JSON, or not as JSON that `decode` takes.
    """
    try:
        body = event.model_dump_json(by_alias=True).encode()
    except (pydantic_core.PydanticSerializationError, ValueError) as error:
        raise UsageError(f"{event.event_name} cannot be written as JSON: {error}") from error
    try:
        if not _is_small(body):
            check_json(body)
    except Undecodable as error:
        raise UsageError(f"Nobody could read {event.event_name}: {error}", remedy=error.remedy) from None
    return body


def decode(event: type[E], body: bytes, version: int) -> E:
    """The event of class `event` that `body` holds, lifted from `version` if that is an older one.

    Raises:
        Undecodable: not JSON, or not numbers or nesting that JSON readers agree on.
        InvalidPayload: JSON, but not what the class (or an upcaster) takes; says where, never shows values.
        UnknownEvent: `version` is newer than the class, or none at all.
    """
    check_json(body)
    if version == event.event_version:
        return _validate(event, body)
    if version > event.event_version or version < 1:
        raise UnknownEvent(
            f"{event.event_name} version {version} is not known here, only up to {event.event_version}.",
            remedy="Deploy the version of this service that knows it, then redrive.",
        )
    return _validate(event, _lift(event, body, version))


def check_json(body: bytes) -> None:
    """Refuse nesting over `DEEPEST`, more than `MOST_VALUES`, NaN and Infinity, without building anything.

    Raises:
        Undecodable: saying which.
    """
    # The cheap look decides for nearly all bodies: strings are only cut out where it is not enough.
    suspicious = any(word in body for word in _NOT_A_NUMBER)
    if not suspicious and _is_small(body):
        return
    bare = _STRINGS.sub(b"", body)
    if any(word in bare for word in _NOT_A_NUMBER):
        raise Undecodable("NaN and Infinity are not JSON.")
    # Before each value but the outermost stands a comma, or the bracket that opens what it is in.
    if bare.count(b",") + bare.count(b"[") + bare.count(b"{") > MOST_VALUES:
        raise Undecodable(
            f"More than {MOST_VALUES:,} values.",
            remedy="Keep large content elsewhere and send its place.",
        )
    depth = 0
    for bracket in _BRACKETS.findall(bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            raise Undecodable(f"Nested deeper than {DEEPEST}.")


def _is_small(body: bytes) -> bool:
    """Whether it is within the limits even if nothing of it were text."""
    return len(body) <= MOST_VALUES and body.count(b"[") + body.count(b"{") <= DEEPEST


def parse(body: bytes) -> Any:
    """`body` as plain values, under the same limits.

    Raises:
        Undecodable: it is not JSON.
    """
    check_json(body)
    try:
        return pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Undecodable(f"Not JSON: {error}") from None


def _lift(event: type[Event], body: bytes, version: int) -> bytes:
    payload = parse(body)
    chain = upcasters_of(event)
    for step in range(version, event.event_version):
        if step not in chain:
            raise InvalidPayload(
                f"{event.event_name} version {version} is older than what this class can lift.",
                remedy=f"Add an upcaster(from_version={step}) to {event.__qualname__}, then redrive.",
            )
        if not isinstance(payload, dict):
            raise InvalidPayload(f"{event.event_name} version {step}: the payload is no object.")
        try:
            payload = chain[step](payload)  # pyright: ignore[reportUnknownArgumentType]
        except Exception as error:
            raise InvalidPayload(
                f"{event.event_name}: the upcaster from version {step} raised {type(error).__name__}."
            ) from error
    # Back to bytes, so that strict models take old versions exactly as they take the present one.
    try:
        return pydantic_core.to_json(payload)
    except pydantic_core.PydanticSerializationError as error:
        raise InvalidPayload(f"{event.event_name}: an upcaster returned what is not JSON.") from error


def _validate(event: type[E], body: bytes) -> E:
    try:
        return event.model_validate_json(body)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        if details[0]["type"] == "json_invalid":
            raise Undecodable(f"Not JSON: {details[0]['msg'].removeprefix('Invalid JSON: ')}") from None
        shown = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'payload'}: {one['msg']}" for one in details[:20]
        )
        raise InvalidPayload(f"{event.event_name} version {event.event_version}: {shown}") from None
