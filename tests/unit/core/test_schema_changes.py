"""Every kind of change of a schema: what it is called, and who trips over it. Models are what users write."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, cast

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from pavane.core.schema_changes import changes_between

NARROWS, WIDENS, BOTH, NEITHER = (True, False), (False, True), (True, True), (False, False)


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Line(BaseModel):
    product: str


class LongLine(BaseModel):
    product: str
    note: str


class Case(NamedTuple):
    """A field (or more of the class) before and after: code and path of the change, and what it does."""

    old: Any
    new: Any
    change: str
    does: tuple[bool, bool]
    path: str = "f"


def whole(number: Any = ..., **limits: Any) -> Any:
    return Annotated[int, Field(number, **limits)]


CASES = [
    Case({}, {"f": str}, "required_field_added", NARROWS),
    Case({}, {"f": (str, "")}, "optional_field_added", NEITHER),
    Case({"f": str}, {}, "field_removed", WIDENS),
    Case({"f": (str, "")}, {}, "field_removed", NEITHER),
    Case({"f": str}, {"f": (str, "")}, "field_made_optional", WIDENS),
    Case({"f": (str, "")}, {"f": str}, "field_made_required", NARROWS),
    Case({"f": (str, "a")}, {"f": (str, "b")}, "default_changed", NEITHER),
    Case({"f": str}, {"f": int}, "type_changed", BOTH),
    Case({"f": int}, {"f": float}, "type_changed", WIDENS),
    Case({"f": float}, {"f": int}, "type_changed", NARROWS),
    Case({"f": str}, {"f": Any}, "type_changed", WIDENS),
    Case({"f": Any}, {"f": str}, "type_changed", NARROWS),
    Case({"f": str}, {"f": str | None}, "null_accepted", WIDENS),
    Case({"f": str | None}, {"f": str}, "null_refused", NARROWS),
    Case({"f": int | None}, {"f": int | str | None}, "string_accepted", WIDENS),
    Case({"f": str}, {"f": Literal["a", "b"]}, "values_restricted", NARROWS),
    Case({"f": Literal["a", "b"]}, {"f": str}, "values_freed", WIDENS),
    Case({"f": Literal["a", "b"]}, {"f": Literal["a"]}, "value_removed", NARROWS),
    Case({"f": Literal["a"]}, {"f": Literal["a", "b"]}, "value_added", WIDENS),
    Case({"f": Literal["small"]}, {"f": Size}, "value_added", WIDENS),
    Case({"f": int}, {"f": whole(ge=1)}, "minimum_changed", NARROWS),
    Case({"f": whole(ge=1)}, {"f": whole(ge=0)}, "minimum_changed", WIDENS),
    Case({"f": whole(lt=9)}, {"f": whole(lt=5)}, "exclusive_maximum_changed", NARROWS),
    Case({"f": whole(lt=5)}, {"f": whole(lt=9)}, "exclusive_maximum_changed", WIDENS),
    Case({"f": whole(lt=5)}, {"f": int}, "exclusive_maximum_changed", WIDENS),
    Case({"f": whole(multiple_of=2)}, {"f": whole(multiple_of=3)}, "multiple_of_changed", BOTH),
    Case({"f": str}, {"f": Annotated[str, Field(max_length=3)]}, "max_length_changed", NARROWS),
    Case({"f": str}, {"f": Annotated[str, Field(pattern="^a")]}, "pattern_changed", NARROWS),
    Case({"f": list[str]}, {"f": set[str]}, "unique_items_changed", NARROWS),
    Case({"f": list[str]}, {"f": list[int]}, "type_changed", BOTH, "f[]"),
    Case({"f": tuple[int, str]}, {"f": tuple[int, int]}, "type_changed", BOTH, "f[1]"),
    Case({"f": tuple[int, int]}, {"f": tuple[int, int, int]}, "length_changed", BOTH),
    Case({"f": dict[str, int]}, {"f": dict[str, str]}, "type_changed", BOTH, "f.*"),
    Case({"f": dict[str, int]}, {"f": dict[str, Any]}, "type_changed", WIDENS, "f.*"),
    Case({"f": Line}, {"f": LongLine}, "required_field_added", NARROWS, "f.note"),
    Case({"f": list[LongLine]}, {"f": list[Line]}, "field_removed", WIDENS, "f[].note"),
    Case({"f": Line | None}, {"f": LongLine | None}, "required_field_added", NARROWS, "f.note"),
    Case({"f": Line | LongLine}, {"f": Line}, "object_refused", NARROWS),
]


def model(fields: dict[str, Any], **config: Any) -> dict[str, Any]:
    """The schema of a class with these fields; a pair is a type with its default."""
    given: dict[str, Any] = {
        name: one if isinstance(one, tuple) else (one, ...) for name, one in fields.items()
    }
    return create_model("M", __config__=cast("ConfigDict", config), **given).model_json_schema()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.old} to {case.new}")
def test_one_change_is_named_and_judged(case: Case) -> None:
    [found] = changes_between(model(case.old), model(case.new))
    assert (found.change, (found.narrows, found.widens), found.path) == (case.change, case.does, case.path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.old} to {case.new}")
def test_the_way_back_does_the_opposite(case: Case) -> None:
    forth, back = (case.old, case.new), (case.new, case.old)
    [there] = changes_between(*map(model, forth))
    [here] = changes_between(*map(model, back))
    if "field" not in there.change:  # a field that comes or goes is no matter of values
        assert (here.narrows, here.widens) == (there.widens, there.narrows)


FORBIDS = [
    ({"f": str}, {"f": str, "g": (int, 0)}, "optional_field_added", WIDENS),
    ({"f": str, "g": (int, 0)}, {"f": str}, "field_removed", NARROWS),
    ({"f": str, "g": int}, {"f": str}, "field_removed", BOTH),
]


@pytest.mark.parametrize(("old", "new", "change", "does"), FORBIDS)
def test_a_class_that_forbids_unknown_fields_refuses_more(
    old: dict[str, Any], new: dict[str, Any], change: str, does: tuple[bool, bool]
) -> None:
    [found] = changes_between(model(old, extra="forbid"), model(new, extra="forbid"))
    assert (found.change, (found.narrows, found.widens)) == (change, does)


def test_forbidding_unknown_fields_is_a_change_and_so_is_allowing_them() -> None:
    plain, forbidding, allowing = (model({"f": str}, extra=extra) for extra in ("ignore", "forbid", "allow"))
    [found] = changes_between(plain, forbidding)
    assert (found.change, found.narrows, found.widens) == ("unknown_fields_refused", True, False)
    [found] = changes_between(forbidding, plain)
    assert (found.change, found.widens, found.outside_only) == ("unknown_fields_accepted", True, True)
    [found] = changes_between(forbidding, allowing)
    assert (found.change, found.widens, found.outside_only) == ("unknown_fields_accepted", True, False)


def test_pavanes_own_writers_write_what_has_a_default() -> None:
    [found] = changes_between(model({"f": str}), model({"f": (str, "")}))
    assert found.outside_only


def test_several_changes_are_all_named_each_with_its_field() -> None:
    old = model({"a": str, "b": list[Line], "c": int})
    new = model({"a": int, "b": list[LongLine], "d": (int, 0)})
    found = {(one.path, one.change) for one in changes_between(old, new)}
    assert found == {
        ("a", "type_changed"),
        ("b[].note", "required_field_added"),
        ("c", "field_removed"),
        ("d", "optional_field_added"),
    }


def test_words_are_no_change() -> None:
    old, new = (
        model({"f": str}),
        model({"f": (Annotated[str, Field(description="New.", examples=["a"])], ...)}),
    )
    assert changes_between(old, {**new, "title": "N", "description": "Another.", "x-owner": "me"}) == []


class Node(BaseModel):
    value: int
    next: Node | None = None


def test_a_schema_that_refers_to_itself_is_compared_once() -> None:
    old = Node.model_json_schema()
    new = json.loads(json.dumps(old).replace('"integer"', '"string"'))
    assert [(one.path, one.change) for one in changes_between(old, new)] == [("value", "type_changed")]
    assert changes_between(old, old) == []


def test_definitions_of_one_name_that_mean_another_thing_are_seen() -> None:
    old, new = model({"f": Line}), model({"f": LongLine})
    renamed = json.loads(json.dumps(new).replace("LongLine", "Line"))
    assert [one.path for one in changes_between(old, renamed)] == ["f.note"]


Card = Annotated["Visa | Cash", Field(discriminator="kind")]


class Visa(BaseModel):
    kind: Literal["visa"]
    number: str


class Cash(BaseModel):
    kind: Literal["cash"]


def test_members_of_a_union_are_compared_with_their_own_kind() -> None:
    old = TypeAdapter(Card).json_schema()
    new = json.loads(json.dumps(old))
    new["$defs"]["Visa"]["properties"]["holder"] = {"type": "string"}
    new["$defs"]["Visa"]["required"].append("holder")
    assert [(one.path, one.change) for one in changes_between(old, new)] == [
        ("holder", "required_field_added")
    ]


@pytest.mark.parametrize(
    "broken", [{"$ref": "#/$defs/gone"}, {"properties": 5, "required": {}}, {"anyOf": "x"}]
)
def test_a_schema_that_somebody_has_broken_is_judged_and_stops_nothing(broken: dict[str, Any]) -> None:
    whole_one = model({"f": Line})
    assert changes_between(whole_one, broken)
    assert changes_between(broken, whole_one)


def test_definitions_that_only_refer_to_each_other_end() -> None:
    endless = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    assert changes_between(endless, model({"f": str}))
