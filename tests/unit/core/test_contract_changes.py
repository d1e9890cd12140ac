"""What breaks between two releases, and what to do: a table, on documents as `contracts export` makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pavane.core.contract_changes import ContractChange, changes
from pavane.core.contracts import Contracts, contracts_of
from services.demo.stage import app

Change = Callable[[dict[str, Any]], object]


def document() -> dict[str, Any]:
    """An event from outside, one of our own, and the workflow between them."""

    def schema(**fields: str) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {name: {"type": kind} for name, kind in fields.items()},
            "required": [*fields],
        }

    return {
        "events": [
            {
                "name": "order.placed",
                "version": 2,
                "reads": [1, 2],
                "outside": True,
                "read_by": ["stock.reserve"],
                "schema": schema(order="string", pieces="integer"),
            },
            {
                "name": "stock.reserved",
                "version": 1,
                "reads": [1],
                "owner": "stock",
                "emitted_by": ["stock.reserve"],
                "schema": schema(order="string", pieces="integer"),
            },
        ],
        "workflows": [
            {
                "name": "orders",
                "starts_with": "order.placed",
                "completes_with": ["stock.reserved"],
                "fails_with": ["stock.missing"],
                "deadline_s": 60.0,
            }
        ],
    }


def between(change: Change) -> list[ContractChange]:
    """What `changes` finds when the newer document differs by this."""
    newer = document()
    change(newer)
    return changes(Contracts.model_validate(document()), Contracts.model_validate(newer))


def placed(one: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = one["events"][0]
    return event


def reserved(one: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = one["events"][1]
    return event


def fields(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = event["schema"]["properties"]
    return found


def needs(event: dict[str, Any], *names: str) -> None:
    event["schema"]["required"] = [*names]


def flow(one: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = one["workflows"][0]
    return found


def without(event: dict[str, Any], name: str) -> None:
    fields(event).pop(name)
    event["schema"]["required"].remove(name)


def with_default(event: dict[str, Any]) -> None:
    fields(event)["pieces"]["default"] = 1
    needs(event, "order")


def with_new_field(event: dict[str, Any]) -> None:
    fields(event)["shelf"] = {"type": "string"}
    needs(event, "order", "pieces", "shelf")


CASES: list[tuple[str, Change, str, str | None, str, bool, str]] = [
    # name, change, code, event, path, breaking, a word of the remedy
    (
        "an event more",
        lambda d: d["events"].append(reserved(d) | {"name": "new"}),
        "event_added",
        "new",
        "",
        False,
        "",
    ),
    (
        "an event less",
        lambda d: d["events"].pop(),
        "event_removed",
        "stock.reserved",
        "",
        True,
        "Keep the class",
    ),
    (
        "another owner",
        lambda d: reserved(d).update(owner="shop"),
        "owner_changed",
        "stock.reserved",
        "",
        False,
        "",
    ),
    (
        "a field more",
        lambda d: with_new_field(reserved(d)),
        "required_field_added",
        "stock.reserved",
        "shelf",
        True,
        "Give the field a default, or raise stock.reserved to version 2 and add an upcaster(from_version=1)",
    ),
    (
        "a field with a default more",
        lambda d: fields(reserved(d)).update(shelf={"type": "string", "default": ""}),
        "optional_field_added",
        "stock.reserved",
        "shelf",
        False,
        "",
    ),
    (
        "a field less",
        lambda d: without(placed(d), "pieces"),
        "field_removed",
        "order.placed",
        "pieces",
        True,
        "Keep the field, or raise order.placed to version 3",
    ),
    (
        "another type",
        lambda d: fields(placed(d)).update(pieces={"type": "string"}),
        "type_changed",
        "order.placed",
        "pieces",
        True,
        "Raise order.placed to version 3",
    ),
    (
        "a default for what systems outside write",
        lambda d: with_default(placed(d)),
        "field_made_optional",
        "order.placed",
        "pieces",
        True,
        "Raise",
    ),
    (
        "a default for what our own writers write",
        lambda d: with_default(reserved(d)),
        "field_made_optional",
        "stock.reserved",
        "pieces",
        False,
        "",
    ),
    (
        "a version that lifts the old one",
        lambda d: placed(d).update(version=3, reads=[1, 2, 3]),
        "version_raised",
        "order.placed",
        "",
        False,
        "ten minutes",
    ),
    (
        "a version that lifts nothing",
        lambda d: reserved(d).update(version=2, reads=[2]),
        "version_raised",
        "stock.reserved",
        "",
        True,
        "Add an upcaster(from_version=1)",
    ),
    (
        "a version taken back",
        lambda d: placed(d).update(version=1, reads=[1]),
        "version_lowered",
        "order.placed",
        "",
        True,
        "version 2 again",
    ),
    (
        "an upcaster less",
        lambda d: placed(d).update(reads=[2]),
        "old_version_refused",
        "order.placed",
        "",
        True,
        "Add an upcaster(from_version=1)",
    ),
    (
        "a workflow more",
        lambda d: d["workflows"].append(flow(d) | {"name": "returns"}),
        "workflow_added",
        "order.placed",
        "workflow returns",
        False,
        "",
    ),
    (
        "a workflow less",
        lambda d: d["workflows"].clear(),
        "workflow_removed",
        "order.placed",
        "workflow orders",
        True,
        "Keep it",
    ),
    (
        "another start",
        lambda d: flow(d).update(starts_with="order.asked"),
        "start_changed",
        "order.asked",
        "workflow orders",
        True,
        "another workflow",
    ),
    (
        "an ending less",
        lambda d: flow(d).update(fails_with=[]),
        "fails_with_removed",
        "stock.missing",
        "workflow orders",
        True,
        "Keep stock.missing",
    ),
    (
        "an ending more",
        lambda d: flow(d)["completes_with"].append("order.done"),
        "completes_with_added",
        "order.done",
        "workflow orders",
        False,
        "",
    ),
    (
        "another deadline",
        lambda d: flow(d).update(deadline_s=None),
        "deadline_changed",
        None,
        "workflow orders",
        False,
        "",
    ),
]


@pytest.mark.parametrize(
    ("change", "code", "event", "path", "breaking", "remedy"),
    [case[1:] for case in CASES],
    ids=[c[0] for c in CASES],
)
def test_one_change_is_named_and_judged(
    change: Change, code: str, event: str | None, path: str, breaking: bool, remedy: str
) -> None:
    found = [one for one in between(change) if one.change == code]
    assert [(one.event, one.path, one.breaking) for one in found] == [(event, path, breaking)]
    assert remedy in found[0].remedy
    assert found[0].remedy or not breaking


def test_without_a_change_there_is_nothing_to_say() -> None:
    assert between(lambda _: None) == []


def broken(event: dict[str, Any]) -> None:
    fields(event).update(pieces={"type": "string"}, shelf={"type": "string"})
    needs(event, "pieces", "shelf")
    fields(event).pop("order")


def test_a_new_version_with_an_upcaster_mends_every_change_of_the_schema() -> None:
    def change(one: dict[str, Any]) -> None:
        broken(placed(one))
        placed(one).update(version=3, reads=[1, 2, 3])

    found = between(change)
    assert {one.change for one in found} == {
        "version_raised",
        "type_changed",
        "required_field_added",
        "field_removed",
    }
    assert not any(one.breaking for one in found)


def test_a_new_version_without_an_upcaster_mends_only_what_new_writers_do() -> None:
    def change(one: dict[str, Any]) -> None:
        broken(placed(one))
        placed(one).update(version=3, reads=[3])

    found = {(one.change, one.path): one for one in between(change)}
    assert not found["field_removed", "order"].breaking  # old readers wait for the new version
    for breaking in (("type_changed", "pieces"), ("required_field_added", "shelf"), ("version_raised", "")):
        assert found[breaking].breaking
        assert "upcaster(from_version=2)" in found[breaking].remedy


def test_the_contracts_of_the_order_flow_name_who_owns_what() -> None:
    contracts = contracts_of(app.workers, app.workflows, app.events)
    owners = {event.name: (event.owner, event.outside) for event in contracts.events}
    assert owners == {
        "order.placed": (None, True),
        "order.accepted": ("orders", False),
        "order.confirmed": ("orders", False),
        "stock.reserved": ("inventory", False),
        "stock.unavailable": ("inventory", False),
        "payment.charged": ("payments", False),
        "payment.declined": ("payments", False),
        "shipment.created": ("shipping", False),
        "shipment.refused": ("shipping", False),
        "customer.told": ("notifications", False),
    }
    [fulfilment] = contracts.workflows
    assert (fulfilment.starts_with, fulfilment.completes_with) == ("order.placed", ("order.confirmed",))
    assert fulfilment.deadline_s == 7 * 86_400
