"""No break is missed: where a class refuses what another has written, the comparison of their schemas says so.

Random pairs of classes, and pydantic itself as the judge.
"""

from __future__ import annotations

import secrets
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from pavane.core.payload_schema import PayloadSchema
from pavane.core.schema_changes import changes_between

PAIRS, MESSAGES = 600, 6


class Small(BaseModel):
    a: int


class Large(BaseModel):
    a: int
    b: str


KINDS: dict[str, tuple[Any, list[Any]]] = {
    "text": (str, ["", "x", "12", "2026-01-01"]),
    "whole": (int, [0, -3, 7]),
    "real": (float, [0.0, 2.5, -1.0]),
    "truth": (bool, [True, False]),
    "positive": (Annotated[int, Field(ge=1, le=9)], [1, 9]),
    "tiny": (Annotated[int, Field(ge=1, le=3)], [1, 3]),
    "short": (Annotated[str, Field(max_length=2)], ["", "ab"]),
    "first": (Literal["x", "y"], ["x", "y"]),
    "second": (Literal["y", "z"], ["y", "z"]),
    "money": (Annotated[Decimal, Field(ge=0)], [Decimal("1.50"), Decimal(0)]),
    "at": (datetime, [datetime(2026, 1, 1, 12, 30)]),
    "day": (date, [date(2026, 1, 1)]),
    "maybe": (str | None, [None, "x"]),
    "either": (int | str | None, [None, 5, "x"]),
    "many": (list[int], [[], [1, 2]]),
    "words": (list[str], [[], ["x"]]),
    "few": (Annotated[list[int], Field(max_length=1)], [[], [1]]),
    "pair": (tuple[int, str], [(1, "x")]),
    "triple": (tuple[int, int, int], [(1, 2, 3)]),
    "named": (dict[str, int], [{}, {"k": 1}]),
    "called": (dict[str, str], [{}, {"k": "x"}]),
    "small": (Small, [{"a": 1}]),
    "large": (Large, [{"a": 1, "b": "x"}]),
    "sizes": (Small | Large, [{"a": 1}, {"a": 1, "b": "x"}]),
    "boxes": (list[Small | None], [[None], [{"a": 1}]]),
    "anything": (Any, [None, 1, "x", [], {}]),
}

Fields = dict[str, tuple[str, bool]]
"""By name: its kind, and whether it has a default."""


def some_fields(random: Random) -> Fields:
    names = [name for name in "pqr" if random.random() < 0.7]
    return {name: (random.choice(list(KINDS)), random.random() < 0.4) for name in names}


def changed(fields: Fields, random: Random) -> Fields:
    """The fields after one to three changes."""
    new = dict(fields)
    for _ in range(random.randint(1, 3)):
        name = random.choice("pqr")
        if random.random() < 0.25:
            new.pop(name, None)
        else:
            new[name] = (random.choice(list(KINDS)), random.random() < 0.4)
    return new


def model(fields: Fields, extra: Any) -> type[BaseModel]:
    given: dict[str, Any] = {}
    for name, (kind, optional) in fields.items():
        type_, samples = KINDS[kind]
        given[name] = (type_, samples[0]) if optional else (type_, ...)
    return create_model("M", __config__=ConfigDict(extra=extra, validate_default=True), **given)


def schema_of(cls: type[BaseModel]) -> dict[str, Any]:
    return cls.model_json_schema(schema_generator=PayloadSchema)


def written(cls: type[BaseModel], fields: Fields, random: Random, *, outside: bool) -> bytes:
    """A message: by a pavane worker, which writes every field, or by a system outside, which need not."""
    payload = {name: random.choice(KINDS[kind][1]) for name, (kind, _) in fields.items()}
    if outside:
        payload = {
            name: value for name, value in payload.items() if not fields[name][1] or random.random() < 0.5
        }
        return cls.model_validate(payload).model_dump_json(exclude_unset=True).encode()
    return cls.model_validate(payload).model_dump_json().encode()


def refuses(cls: type[BaseModel], body: bytes) -> bool:
    try:
        cls.model_validate_json(body)
    except ValidationError:
        return True
    return False


def test_whatever_one_release_refuses_of_the_other_was_named() -> None:
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    random = Random(seed)
    refused = 0
    for _ in range(PAIRS):
        fields = some_fields(random)
        after = changed(fields, random)
        old = model(fields, random.choice(["ignore", "ignore", "forbid"]))
        new = model(after, random.choice(["ignore", "ignore", "forbid"]))
        found = changes_between(schema_of(old), schema_of(new))
        for number in range(MESSAGES):
            outside = number % 2 == 0
            if refuses(new, body := written(old, fields, random, outside=outside)):
                refused += 1
                assert any(one.narrows for one in found), (fields, after, body, found)
            if refuses(old, body := written(new, after, random, outside=outside)):
                refused += 1
                widens = [one for one in found if one.widens and (outside or not one.outside_only)]
                assert widens, (fields, after, body, found)
    assert refused > PAIRS
