"""JSON Schema of payloads: what a reader takes, as its class says.

What only a validator's code knows is not in a schema. For AsyncAPI the schemas are put into draft 07, the one
dialect that every tool of it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import DecimalSchema

from pavane.errors import UsageError
from pavane.model.event import Event, gap_in_upcasters, upcasters_of

Schema: TypeAlias = dict[str, Any]

_REF = "#/components/schemas/{model}"
_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "dependentSchemas")
_NOT_SCHEMAS = ("default", "examples", "enum", "const", "required")


class PayloadSchema(GenerateJsonSchema):
    """pydantic's schemas, in which a decimal written as text is not any text."""

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        made = super().decimal_schema(schema)
        for one in made.get("anyOf", ()):
            if one.get("type") == "string":
                one.setdefault("format", "decimal")
        return made


def schema_of(event: type[Event]) -> Schema:
    """The event's payload, complete in itself (`$defs` inside).

    Raises:
        UsageError: a field's type has no JSON Schema.
    """
    try:
        return event.model_json_schema(schema_generator=PayloadSchema)
    except PydanticInvalidForJsonSchema as error:
        raise _without_schema(event, error) from error


def shared_schemas(events: Sequence[type[Event]]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """The events' payloads in draft 07 by event name, and what they refer to as `#/components/schemas/…`.

    Raises:
        UsageError: a field's type has no JSON Schema.
    """
    for event in events:
        schema_of(event)  # so that the refusal names the event
    made, rest = models_json_schema(
        [(event, "validation") for event in events], ref_template=_REF, schema_generator=PayloadSchema
    )
    definitions: dict[str, Any] = rest.get("$defs", {})
    payloads = {event.event_name: draft_07(made[event, "validation"]) for event in events}
    return payloads, {name: draft_07(schema) for name, schema in sorted(definitions.items())}


def readable_versions(event: type[Event]) -> tuple[int, ...]:
    """The versions that the class takes: its own, and those its upcasters lift, lowest first."""
    chain = upcasters_of(event)
    first = event.event_version if gap_in_upcasters(event) else min(chain, default=event.event_version)
    return tuple(range(first, event.event_version + 1))


def draft_07(schema: Mapping[str, Any]) -> Schema:
    """The schema in the words of draft 07, where pydantic writes 2020-12 or OpenAPI."""
    made: Schema = {name: _inner(name, value) for name, value in schema.items()}
    if "prefixItems" in made:
        made["additionalItems"] = made.pop("items", True)
        made["items"] = made.pop("prefixItems")
    # Here it is the name of a property at most; OpenAPI's object only hurries readers, `oneOf` decides as well.
    made.pop("discriminator", None)
    return made


def _inner(name: str, value: Any) -> Any:
    if name in _NOT_SCHEMAS:
        return value
    if isinstance(value, dict):
        inner = cast("Schema", value)
        if name not in _OF_SCHEMAS:
            return draft_07(inner)
        return {key: _inner("", one) for key, one in inner.items()}
    if isinstance(value, list):
        return [_inner("", one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _without_schema(event: type[Event], error: PydanticInvalidForJsonSchema) -> UsageError:
    return UsageError(
        f"{event.event_name}: a field's type has no JSON Schema: {error.message}",
        remedy="Give the field a plainer type, or its type the method __get_pydantic_json_schema__.",
    )
