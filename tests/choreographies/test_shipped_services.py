"""The order flow is sound; take anything out of it, and that is found, or it is harmless for a reason given here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import pytest

from contracts.order_fulfilment import order_fulfilment
from pavane.cli.programs import contract_of, program_of, worker_of
from pavane.core.choreography import Contract, Finding, Program
from pavane.core.choreography_findings import findings_of
from pavane.model.definition import WorkerDefinition
from services.demo.stage import app
from tests.integration.cli_runner import Pavane

APPS = [f"services.{service.name}:app" for service in app.services]

NOT_OF_THE_BUILDER = {
    "service", "name", "description", "events", "emits", "results", "returns_none", "handler", "is_async",
    "place", "full_name",
}  # fmt: skip
"""Fields of a definition that no builder call of its own sets, or that are taken apart below."""

CALLS = {
    "lease_ms": "lease",
    "renew_every_ms": "lease",
    "timeout_ms": "timeout",
    "step_timeout_ms": "timeout",
    "compensation": "compensate_with",
}
"""The builder call that sets a field, where it has another name."""

CONTRACT = contract_of(order_fulfilment)

AN_ENDING_IS_HEARD_AT_WILL = (
    "the event ends the run whether anybody hears it or not; who is told of it is the business's decision"
)
OTHERS_TELL = "two other workers send it too, and whoever hears it cannot miss one of them"
RENEWED = (
    "a lease is renewed for as long as its handler works; its length only decides how soon another takes over"
)

HARMLESS = {
    "orders.reject_order": AN_ENDING_IS_HEARD_AT_WILL,
    "orders.reject_order .on(stock.unavailable)": AN_ENDING_IS_HEARD_AT_WILL,
    "orders.reject_order .on(payment.declined)": AN_ENDING_IS_HEARD_AT_WILL,
    "orders.reject_order .on(shipment.refused)": AN_ENDING_IS_HEARD_AT_WILL,
    "orders.close_order": "it is on an event of pavane's own, which is sent only if somebody wants it",
    "notifications.confirm_to_customer": AN_ENDING_IS_HEARD_AT_WILL,
    "notifications.confirm_to_warehouse": AN_ENDING_IS_HEARD_AT_WILL,
    "notifications.confirm_to_accounting": AN_ENDING_IS_HEARD_AT_WILL,
    "notifications.notify_backorder": AN_ENDING_IS_HEARD_AT_WILL,
    "notifications.handle_payment_failure": AN_ENDING_IS_HEARD_AT_WILL,
    "notifications.confirm_to_customer .emits(customer.told)": OTHERS_TELL,
    "notifications.notify_backorder .emits(customer.told)": OTHERS_TELL,
    "notifications.handle_payment_failure .emits(customer.told)": OTHERS_TELL,
    "inventory.reserve_stock .lease()": RENEWED,
    "payments.charge_payment .lease()": RENEWED,
    "shipping.create_shipment .lease()": RENEWED,
    "order_fulfilment deadline": "every way leads to an ending without it; it only bounds how long that takes",
    "order_fulfilment run_id": "each start is then a run of its own: the ways through it are the same",
}


@dataclass(frozen=True)
class Taken:
    """The order flow without one thing."""

    what: str
    workers: tuple[WorkerDefinition, ...] = app.workers
    workflow: Contract = CONTRACT

    def findings(self) -> tuple[Finding, ...]:
        whole = program_of(app, "orders")
        workers = tuple(worker_of(definition) for definition in self.workers)
        program = Program(name="orders", workers=workers, workflows=(self.workflow,), payloads=whole.payloads)
        return findings_of([program])


def everything_taken_away() -> Iterator[Taken]:
    """Each worker, each event and each setting that a builder was told; each argument of the workflow."""
    for definition in app.workers:
        name = definition.full_name
        yield Taken(name, _with(definition))
        for event in definition.events if len(definition.events) > 1 else ():
            left = tuple(one for one in definition.events if one is not event)
            yield Taken(
                f"{name} .on({event.event_name})", _with(definition, replace(definition, events=left))
            )
        for event in definition.emits:
            emits = tuple(one for one in definition.emits if one is not event)
            results = tuple(one for one in definition.results if one is not event)
            without = replace(definition, emits=emits, results=results)
            yield Taken(f"{name} .emits({event.event_name})", _with(definition, without))
        for call, defaults in _calls(definition).items():
            yield Taken(f"{name} .{call}()", _with(definition, replace(definition, **defaults)))
    for ending in CONTRACT.fails_with:
        rest = tuple(one for one in CONTRACT.fails_with if one != ending)
        yield Taken(f"order_fulfilment fails_with {ending}", workflow=replace(CONTRACT, fails_with=rest))
    yield Taken("order_fulfilment deadline", workflow=replace(CONTRACT, deadline_ms=None))
    yield Taken("order_fulfilment run_id")  # a choreography does not know how runs are told apart


def _calls(definition: WorkerDefinition) -> dict[str, dict[str, Any]]:
    """The builder calls that were made, and what their settings are without them."""
    made: dict[str, dict[str, Any]] = {}
    for field in fields(definition):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in NOT_OF_THE_BUILDER and getattr(definition, field.name) != default:
            made.setdefault(CALLS.get(field.name, field.name), {})[field.name] = default
    return made


def _with(
    definition: WorkerDefinition, instead: WorkerDefinition | None = None
) -> tuple[WorkerDefinition, ...]:
    others = [one for one in app.workers if one is not definition]
    return tuple(others if instead is None else [*others, instead])


TAKEN = {taken.what: taken for taken in everything_taken_away()}


@pytest.mark.parametrize("given", [["services"], APPS, ["services.demo.stage:app"]], ids=" ".join)
def test_nothing_is_found_in_the_shipped_services(given: list[str]) -> None:
    assert Pavane.on().json("check", *given, "--strict") == {"ok": True, "findings": []}


def test_each_service_alone_lacks_the_others() -> None:
    document = Pavane.on().json("check", "services.payments:app", code=1)
    found = {(one["code"], one["subject"]) for one in document["findings"]}
    assert ("unreachable_worker", "payments.charge_payment") in found


def test_everything_that_the_flow_is_made_of_is_taken_away() -> None:
    assert len(TAKEN) > 35
    assert {"payments.charge_payment .compensate_with()", "payments.charge_payment .lease()"} <= TAKEN.keys()
    assert len(CONTRACT.completes_with) == 1  # without it there is no workflow: `no_ending`


def test_what_is_said_to_be_harmless_exists() -> None:
    assert HARMLESS.keys() <= TAKEN.keys()


@pytest.mark.parametrize("what", [what for what in TAKEN if what not in HARMLESS])
def test_what_is_taken_away_is_found(what: str) -> None:
    assert TAKEN[what].findings()


@pytest.mark.parametrize("what", HARMLESS)
def test_what_is_harmless_is_not_found(what: str) -> None:
    assert not TAKEN[what].findings()


@pytest.mark.parametrize(
    ("what", "code", "subject"),
    [
        ("orders.accept_order", "endless_workflow", "order_fulfilment"),
        ("orders.note_customer_told", "orphan_event", "customer.told"),
        ("orders.confirm_order", "orphan_event", "shipment.created"),
        ("payments.charge_payment .compensate_with()", "missing_undo", "payments.charge_payment"),
        ("inventory.reserve_stock .emits(stock.unavailable)", "undeclared_event", "inventory.reserve_stock"),
        ("inventory.reserve_stock .emits(stock.unavailable)", "orphan_event", "stock.unavailable"),
        ("order_fulfilment fails_with payment.declined", "endless_workflow", "order_fulfilment"),
    ],
)
def test_it_is_found_for_what_it_is(what: str, code: str, subject: str) -> None:
    assert (code, subject) in {(one.code, one.subject) for one in TAKEN[what].findings()}
