"""Event classes: names, versions, bases, reloads; and their way to bytes and back."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from pavane import (
    DefinitionError,
    Event,
    InvalidPayload,
    RawEvent,
    Sensitive,
    Undecodable,
    UnknownEvent,
    UsageError,
)
from pavane.events import RunEnded, RunStalled, StepDeadLettered, UndoStuck
from pavane.model.event import gap_in_upcasters
from pavane.model.wire import DEEPEST, MOST_VALUES, check_json, decode, encode, parse


class OrderEvent(Event):
    order_id: str


class Placed(OrderEvent, name="test_event.placed", version=3):
    amount: float
    note: Any = None


class Strict(Event, name="test_event.strict", version=2, extra="forbid", strict=True):
    at: datetime


@Placed.upcaster(from_version=1)
def rename(old: dict[str, Any]) -> dict[str, Any]:
    return {"order_id": old["id"], **old}


@Placed.upcaster(from_version=2)
def add_amount(old: dict[str, Any]) -> dict[str, Any]:
    return {"amount": 0.0, **old}


@Strict.upcaster(from_version=1)
def unchanged(old: dict[str, Any]) -> dict[str, Any]:
    return old


def codes(caught: pytest.ExceptionInfo[DefinitionError]) -> list[str]:
    return [problem.code for problem in caught.value.problems]


def test_a_class_knows_its_name_and_version() -> None:
    assert (Placed.event_name, Placed.event_version) == ("test_event.placed", 3)
    assert Placed(order_id="1", amount=2).amount == 2


def test_a_class_without_name_is_a_base_and_never_passes_for_its_parent() -> None:
    class Nameless(Placed): ...

    assert OrderEvent.event_name == Nameless.event_name == RawEvent.event_name == ""


def test_an_event_is_frozen_and_ignores_unknown_fields_unless_told_otherwise() -> None:
    event: Any = Placed.model_validate({"order_id": "1", "amount": 1, "unknown": 2})
    with pytest.raises(ValidationError):
        event.amount = 3
    with pytest.raises(ValidationError):
        Strict.model_validate_json('{"at": "2026-01-01T00:00:00Z", "unknown": 2}')


@pytest.mark.parametrize("name", ["Order", "order placed", "", "a" * 129, "pavane.mine", "pavane"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        type("Bad", (Event,), {}, name=name)
    assert codes(caught) == ["bad_name"]


@pytest.mark.parametrize("version", [0, -1, True, "1"])
def test_bad_versions_are_refused(version: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        type("Bad", (Event,), {}, name="test_event.bad_version", version=version)
    assert codes(caught) == ["bad_value"]


def test_a_misspelt_option_is_refused_with_its_place() -> None:
    with pytest.raises(DefinitionError, match="versoin=") as caught:

        class Bad(Event, name="test_event.misspelt", versoin=2): ...

    assert caught.value.problems[0].file == __file__


def test_two_classes_of_one_name_are_refused_and_the_first_stays() -> None:
    with pytest.raises(DefinitionError, match=r"test_event\.Placed") as caught:

        class Other(Event, name="test_event.placed"): ...

    assert codes(caught) == ["duplicate_event"]


def test_the_reload_of_a_module_defines_its_classes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from pavane import Event\nclass Reloaded(Event, name='test_event.reloaded'): ...\n"
    (tmp_path / "reloaded_events.py").write_text(source)
    (tmp_path / "other_events.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    first = importlib.import_module("reloaded_events")
    old = first.Reloaded
    assert importlib.reload(first).Reloaded is not old
    with pytest.raises(DefinitionError, match="reloaded_events"):
        importlib.import_module("other_events")
    monkeypatch.delitem(sys.modules, "reloaded_events")


def test_a_field_cannot_take_the_place_of_the_name() -> None:
    with (
        pytest.warns(UserWarning, match="shadows"),
        pytest.raises(DefinitionError, match="rename the field"),
    ):

        class Bad(Event, name="test_event.shadow"):
            event_name: str  # type: ignore[misc]


def test_fields_to_be_masked_are_refused_by_name_also_in_nested_models() -> None:
    with pytest.raises(DefinitionError, match="Sensitive"):

        class Bad(Event, name="test_event.sensitive"):
            card: Annotated[str, Sensitive]

    with pytest.raises(DefinitionError, match="Sensitive"):

        class Nested(BaseModel):
            card: Annotated[str, Sensitive]


def test_upcasters_have_to_lead_upwards_and_be_there_once() -> None:
    class Two(Event, name="test_event.two", version=2): ...

    for version in (0, 2, 3):
        with pytest.raises(DefinitionError, match="upcaster from version"):
            Two.upcaster(from_version=version)(dict)
    Two.upcaster(from_version=1)(dict)
    with pytest.raises(DefinitionError) as caught:
        Two.upcaster(from_version=1)(dict)
    assert codes(caught) == ["set_twice"]


def test_a_gap_in_the_chain_is_found() -> None:
    class Gap(Event, name="test_event.gap", version=4): ...

    assert gap_in_upcasters(Gap) is None
    Gap.upcaster(from_version=1)(dict)
    Gap.upcaster(from_version=3)(dict)
    assert gap_in_upcasters(Gap) == 2
    assert gap_in_upcasters(Placed) is None


# Bytes -----------------------------------------------------------------------------------------------


def test_an_event_comes_back_from_its_bytes() -> None:
    event = Placed(order_id="ä-1", amount=0.1, note={"n": [1, None, 2**70]})
    assert decode(Placed, encode(event), 3) == event


@given(st.decimals(allow_nan=False, allow_infinity=False), st.timedeltas(), st.text())
def test_every_type_that_pydantic_writes_comes_back(amount: Decimal, wait: timedelta, text: str) -> None:
    event = Rich.model_validate({"amount": amount, "wait": wait, "text": text, "camel_case": 5})
    assert decode(Rich, encode(event), 1) == event


class Rich(Event, name="test_event.rich"):
    amount: Decimal
    wait: timedelta
    text: str
    camel_case: int = Field(alias="camelCase")


def test_an_older_version_is_lifted_step_by_step() -> None:
    assert decode(Placed, b'{"id": "7"}', 1) == Placed(order_id="7", amount=0.0)
    assert decode(Placed, b'{"order_id": "7"}', 2) == Placed(order_id="7", amount=0.0)
    lifted = decode(Strict, b'{"at": "2026-01-01T00:00:00Z"}', 1)
    assert lifted.at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("version", [4, 0, -1])
def test_a_version_nobody_knows_is_an_unknown_event(version: int) -> None:
    with pytest.raises(UnknownEvent):
        decode(Placed, b"{}", version)


def test_a_version_below_the_first_upcaster_is_invalid_with_a_remedy() -> None:
    class Late(Event, name="test_event.late", version=3): ...

    Late.upcaster(from_version=2)(dict)
    with pytest.raises(InvalidPayload) as caught:
        decode(Late, b"{}", 1)
    assert "upcaster(from_version=1)" in caught.value.remedy


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"'])
def test_what_is_no_object_is_invalid_in_every_version(body: bytes) -> None:
    for version in (1, 3):
        with pytest.raises(InvalidPayload):
            decode(Placed, body, version)


def test_an_upcaster_that_fails_makes_the_payload_invalid() -> None:
    with pytest.raises(InvalidPayload, match="from version 1 raised KeyError"):
        decode(Placed, b"{}", 1)


def test_a_schema_violation_says_where_and_never_shows_the_value() -> None:
    with pytest.raises(InvalidPayload, match="amount: ") as caught:
        decode(Placed, b'{"order_id": "1", "amount": "s3cr3t"}', 3)
    assert "s3cr3t" not in str(caught.value)


NOT_JSON = [
    b"",
    b"{",
    b"\xff\xfe",
    b"{'a': 1}",
    b'{"order_id": "1", "amount": NaN}',
    b'{"order_id": "1", "amount": 1, "note": Infinity}',
    b'{"order_id": "1", "amount": 1, "note": -Infinity}',
    b'{"order_id": "\\ud800", "amount": 1}',
    b"[" * 100_000,
    b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1),
]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_json_readers_do_not_agree_on_is_undecodable(body: bytes) -> None:
    for version in (1, 3):
        with pytest.raises(Undecodable):
            decode(Placed, body, version)


def test_the_depth_counts_brackets_outside_strings_only() -> None:
    deepest = b"[" * DEEPEST + b"]" * DEEPEST
    assert parse(b'"' + b"[{" * 200 + b'\\"[[ NaN"') == "[{" * 200 + '"[[ NaN'
    check_json(deepest)
    check_json(b"[" + b"[]," * 1000 + b"[]]")
    with pytest.raises(Undecodable, match="deeper than 64"):
        check_json(b"[" + deepest + b"]")


def of_values(count: int) -> list[bytes]:
    """Bodies with so many values in their outermost one."""
    return [
        b"[" + b",".join([b"0"] * count) + b"]",
        b"[" + b",".join([b"[]"] * (count // 2)) + b"]",  # as dear as two each: a comma and a bracket
        b"{" + b",".join(b'"%d":"[{,"' % number for number in range(count)) + b"}",
    ]


def test_the_number_of_values_has_a_limit_that_strings_do_not_count_for() -> None:
    for most, too_many in zip(of_values(MOST_VALUES), of_values(MOST_VALUES + 2), strict=True):
        check_json(most)
        with pytest.raises(Undecodable, match="More than 50,000 values") as refused:
            check_json(too_many)
        assert refused.value.remedy
    check_json(b'"' + b"[{," * MOST_VALUES + b'"')


def test_an_event_that_nobody_could_read_is_refused_to_its_sender() -> None:
    # Around the values stand the object, its three fields and the array itself.
    most = Placed(order_id="1", amount=1, note=[0] * (MOST_VALUES - 3))
    assert decode(Placed, encode(most), 3) == most
    deep: list[Any] = []
    for _ in range(DEEPEST):
        deep = [deep]
    for note in ([0] * (MOST_VALUES - 2), deep):
        with pytest.raises(UsageError, match=r"Nobody could read test_event\.placed"):
            encode(Placed(order_id="1", amount=1, note=note))


def test_numbers_keep_every_digit() -> None:
    assert parse(b"[18446744073709551617]") == [2**64 + 1]


def test_what_cannot_be_written_is_the_callers_error() -> None:
    with pytest.raises(UsageError, match=r"test_event\.placed"):
        encode(Placed(order_id="1", amount=1, note=object()))


# Framework events ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "name", "fields"),
    [
        (
            StepDeadLettered,
            "step_dead_lettered",
            {"dead_letter_id", "worker", "reason", "error", "attempts"},
        ),
        (UndoStuck, "undo_stuck", {"dead_letter_id", "worker", "error"}),
        (RunStalled, "run_stalled", {"reason"}),
        (RunEnded, "run_ended", {"status", "reason"}),
    ],
)
def test_framework_events_have_the_documented_fields(event: type[Event], name: str, fields: set[str]) -> None:
    assert event.event_name == f"pavane.{name}"
    assert set(event.model_fields) == fields | {"run", "workflow", "at"}
