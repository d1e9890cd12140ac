"""What has changed between two JSON Schemas of one payload, and who trips over it.

A change that *narrows* makes new readers refuse what was written before it; one that *widens* lets new writers
write what running readers refuse. What the comparison cannot judge counts as both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
_Pair: TypeAlias = tuple[Schema, Schema]

# Not compared: they refuse nothing.
_WORDS: Final = ("title", "description", "examples", "deprecated", "readOnly", "writeOnly", "$comment")
_SAYS_NOTHING: Final = frozenset((*_WORDS, "default", "discriminator", "$defs", "$id", "$schema"))
_STRUCTURE: Final = ("properties", "required", "additionalProperties", "items", "prefixItems")
_LOOKED_AT: Final = frozenset((*_STRUCTURE, "type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf"))
_AT_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_BOUNDS: Final = (*_AT_LEAST, "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")

_LONGEST_CHAIN: Final = 50
"""Definitions that refer to definitions; only a document made by hand has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChange:
    """One difference.

    Attributes:
        path: of the field, `lines[].quantity`; empty: the payload itself. `*` is any key.
        change: what happened, a code.
        narrows, widens: see above; neither: nobody notices.
        outside_only: it widens only for writers outside. pavane's own write every field of a class, those with a
            default too, and none that it does not have.
    """

    path: str
    change: str
    narrows: bool = False
    widens: bool = False
    outside_only: bool = False


def changes_between(old: Schema, new: Schema) -> list[SchemaChange]:
    """Every change from `old` to `new`, in the order of the fields."""
    return list(_Comparison(old, new).compare(old, new, ""))


class _Comparison:
    """Two documents, and which pairs of their parts are being compared: a schema may refer to itself."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._open: set[tuple[str, str]] = set()

    def compare(self, old: Schema, new: Schema, path: str) -> Iterator[SchemaChange]:
        """The changes of one place, and of all below it."""
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        pair = (_canonical(old), _canonical(new))
        # Equal words may stand for different things where they refer to definitions.
        if pair in self._open or (pair[0] == pair[1] and '"$ref"' not in pair[0]):
            return
        self._open.add(pair)
        yield from self._alternatives(old, new, path)
        self._open.discard(pair)

    def _alternatives(self, old: Schema, new: Schema, path: str) -> Iterator[SchemaChange]:
        before = [_resolved(self._old, one) for one in _alternatives_of(old)]
        after = [_resolved(self._new, one) for one in _alternatives_of(new)]
        pairs, gone, come = _matched(before, after)
        if len(before) == len(after) == 1:
            one, other = before[0], after[0]
            if gone:
                narrows, widens = not _is_among(one, after), not _is_among(other, before)
                yield SchemaChange(path=path, change="type_changed", narrows=narrows, widens=widens)
            else:
                yield from self._same_kind(one, other, path)
            return
        for one, other in pairs:
            yield from self.compare(one, other, path)
        for one in gone:
            yield SchemaChange(path=path, change=f"{_kind(one)}_refused", narrows=not _is_among(one, after))
        for one in come:
            yield SchemaChange(path=path, change=f"{_kind(one)}_accepted", widens=not _is_among(one, before))

    def _same_kind(self, old: Schema, new: Schema, path: str) -> Iterator[SchemaChange]:
        if len(_list(old.get("prefixItems"))) != len(_list(new.get("prefixItems"))):
            yield SchemaChange(path=path, change="length_changed", narrows=True, widens=True)
            return
        yield from _of_values(old, new, path)
        yield from _of_limits(old, new, path)
        if "properties" in old or "properties" in new:
            yield from self._fields(old, new, path)
        yield from self._extras(old, new, path)
        yield from self._items(old, new, path)

    # objects

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[SchemaChange]:
        before, after = _schema(old.get("properties")), _schema(new.get("properties"))
        needed, needs = set(_list(old.get("required"))), set(_list(new.get("required")))
        for name in dict.fromkeys((*before, *after)):
            where = f"{path}.{name}" if path else name
            if name not in after:
                # A reader that needs it misses it; one that forbids what it does not know refuses it.
                yield SchemaChange(
                    path=where, change="field_removed", narrows=_forbids(new), widens=name in needed
                )
            elif name not in before:
                change = "required_field_added" if name in needs else "optional_field_added"
                yield SchemaChange(path=where, change=change, narrows=name in needs, widens=_forbids(old))
            else:
                one, other = _schema(before[name]), _schema(after[name])
                yield from _of_need(one, other, name in needed, name in needs, where)
                yield from self.compare(one, other, where)

    def _extras(self, old: Schema, new: Schema, path: str) -> Iterator[SchemaChange]:
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        where = f"{path}.*" if path else "*"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from self.compare(_schema(before), _schema(after), where)  # pyright: ignore[reportUnknownArgumentType]
        elif _forbids(old) != _forbids(new):
            yield SchemaChange(
                path=path,
                change="unknown_fields_refused" if _forbids(new) else "unknown_fields_accepted",
                narrows=_forbids(new),
                widens=_forbids(old),
                outside_only="additionalProperties" not in new,
            )
        elif isinstance(before, Mapping) != isinstance(after, Mapping):
            narrows, widens = isinstance(after, Mapping), isinstance(before, Mapping)
            yield SchemaChange(path=where, change="type_changed", narrows=narrows, widens=widens)

    # arrays

    def _items(self, old: Schema, new: Schema, path: str) -> Iterator[SchemaChange]:
        before, after = _list(old.get("prefixItems")), _list(new.get("prefixItems"))
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from self.compare(_schema(one), _schema(other), f"{path}[{place}]")
        if "items" in old or "items" in new:
            yield from self.compare(_schema(old.get("items")), _schema(new.get("items")), f"{path}[]")


def _of_need(old: Schema, new: Schema, needed: bool, needs: bool, path: str) -> Iterator[SchemaChange]:
    if needed and not needs:
        yield SchemaChange(
            path=path, change="field_made_optional", widens=True, outside_only="default" in new
        )
    elif needs and not needed:
        yield SchemaChange(path=path, change="field_made_required", narrows=True)
    elif not needs and old.get("default") != new.get("default"):
        yield SchemaChange(path=path, change="default_changed")


def _of_values(old: Schema, new: Schema, path: str) -> Iterator[SchemaChange]:
    before, after = _values_of(old), _values_of(new)
    if before is None and after is None:
        return
    if before is None or after is None:
        change = "values_restricted" if before is None else "values_freed"
        yield SchemaChange(path=path, change=change, narrows=before is None, widens=after is None)
        return
    if any(value not in after for value in before):
        yield SchemaChange(path=path, change="value_removed", narrows=True)
    if any(value not in before for value in after):
        yield SchemaChange(path=path, change="value_added", widens=True)


def _of_limits(old: Schema, new: Schema, path: str) -> Iterator[SchemaChange]:
    """Bounds, which have a direction, and every other keyword, which has none."""
    skipped = _SAYS_NOTHING | _LOOKED_AT
    for word in sorted(old.keys() | new.keys()):
        before, after = old.get(word), new.get(word)
        if word in skipped or word.startswith("x-") or before == after:
            continue
        narrows, widens = after is not None, before is not None
        if isinstance(before, int | float) and isinstance(after, int | float) and word in _BOUNDS:
            narrows = after > before if word in _AT_LEAST else after < before
            widens = not narrows
        yield SchemaChange(path=path, change=f"{_snake(word)}_changed", narrows=narrows, widens=widens)


# reading a schema


def _resolved(document: Schema, schema: Schema) -> Schema:
    """The schema with what it refers to, or is made of, put in its place."""
    for _ in range(_LONGEST_CHAIN):
        parts = _list(schema.get("allOf"))
        if "$ref" in schema:
            name = str(schema["$ref"]).removeprefix("#/$defs/")
            schema = {**_schema(_schema(document.get("$defs")).get(name)), **_except(schema, "$ref")}
        elif len(parts) == 1:
            schema = {**_schema(parts[0]), **_except(schema, "allOf")}
        else:
            break
    return schema


def _alternatives_of(schema: Schema) -> list[Schema]:
    """The schemas of which a value fits one."""
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return [inner for one in _list(schema[word]) for inner in _alternatives_of(_schema(one))]
    if types := _list(schema.get("type")):
        return [{**schema, "type": one} for one in types]
    return [schema]


def _matched(before: list[Schema], after: list[Schema]) -> tuple[list[_Pair], list[Schema], list[Schema]]:
    """Alternatives that belong together (same kind, best the same name too), those gone, and those new."""
    pairs: list[_Pair] = []
    gone, come = list(before), list(after)
    for likeness in (_without_words, _name, _kind):
        for one in list(gone):
            other = next((each for each in come if likeness(each) == likeness(one)), None)
            if other is not None:
                pairs.append((one, other))
                # By identity: equal alternatives are matched one by one.
                gone = [each for each in gone if each is not one]
                come = [each for each in come if each is not other]
    return pairs, gone, come


def _name(schema: Schema) -> tuple[str, object]:
    return _kind(schema), schema.get("title")


def _kind(schema: Schema) -> str:
    if "type" in schema:
        return str(schema["type"])
    values = _values_of(schema)
    if values is not None:
        kinds = {_KINDS.get(type(value).__name__, "value") for value in values}
        return kinds.pop() if len(kinds) == 1 else "value"
    return "object" if "properties" in schema else "anything"


_KINDS: Final = {"str": "string", "bool": "boolean", "int": "integer", "float": "number", "NoneType": "null"}


def _is_among(schema: Schema, others: Iterable[Schema]) -> bool:
    """Whether what fits the schema surely fits one of the others. All whole numbers are numbers."""
    kinds = {_kind(schema), "anything", *(["number"] if _kind(schema) == "integer" else [])}
    limits = _without_words(_except(schema, "type"))
    return any(
        _kind(other) in kinds and _without_words(_except(other, "type")) in ({}, limits) for other in others
    )


def _values_of(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return _list(schema["enum"]) if "enum" in schema else None


def _forbids(schema: Schema) -> bool:
    return schema.get("additionalProperties") is False


def _schema(value: Any) -> Schema:
    return value if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def _without_words(schema: Schema) -> dict[str, Any]:
    return _except(schema, *_SAYS_NOTHING)


def _canonical(schema: Schema) -> str:
    return json.dumps(_except(schema, "$defs"), sort_keys=True)


def _except(schema: Schema, *words: str) -> dict[str, Any]:
    return {word: value for word, value in schema.items() if word not in words}


def _snake(word: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in word)
