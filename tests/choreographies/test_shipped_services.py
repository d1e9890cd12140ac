"""The shipped flows are sound; take anything out of one, and it is found, or harmless for a reason given here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import pytest

from contracts.order_fulfilment import order_fulfilment
from contracts.trips import trip_booking
from pavane import App
from pavane.cli.programs import contract_of, program_of, worker_of
from pavane.core.choreography import Contract, Finding, Program
from pavane.core.choreography_findings import findings_of
from pavane.model.definition import WorkerDefinition
from services.demo.stage import app as orders_app
from services.trips import app as trips_app
from tests.integration.cli_runner import Pavane

APPS = [f"services.{service.name}:app" for service in orders_app.services]

NOT_OF_THE_BUILDER = {
    "service", "name", "description", "events", "emits", "results", "returns_none", "handler", "is_async",
    "place", "full_name",
}  # fmt: skip
"""Fields of a definition that no builder call of its own sets, or that are taken apart below."""

CALLS = {
    "joins": "on_all",
    "lease_ms": "lease",
    "renew_every_ms": "lease",
    "timeout_ms": "timeout",
    "step_timeout_ms": "timeout",
    "compensation": "compensate_with",
}
"""The builder call that sets a field, where it has another name."""

AN_ENDING_IS_HEARD_AT_WILL = (
    "the event ends the run whether anybody hears it or not; who is told of it is the business's decision"
)
OTHERS_TELL = "two other workers send it too, and whoever hears it cannot miss one of them"
RENEWED = (
    "a lease is renewed for as long as its handler works; its length only decides how soon another takes over"
)

NO_WAY_NEEDS_IT = "every way leads to an ending without it; it only bounds how long that takes"
A_RUN_FOR_EACH_START = "each start is then a run of its own: the ways through it are the same"
UNDO_IN_ANY_ORDER = "what is undone is the same in any order"

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
    "trips.book_flight .lease()": RENEWED,
    "trips.book_hotel .lease()": RENEWED,
    "trips.book_car .lease()": RENEWED,
    "trips.confirm_trip .on_all()": "a handler that takes three events is refused without it where it is defined",
    "trips.tell_traveller": AN_ENDING_IS_HEARD_AT_WILL,
    "trips.tell_traveller .on(trip.confirmed)": AN_ENDING_IS_HEARD_AT_WILL,
    "trips.tell_traveller .on(flight.unavailable)": AN_ENDING_IS_HEARD_AT_WILL,
    "trips.tell_traveller .on(hotel.unavailable)": AN_ENDING_IS_HEARD_AT_WILL,
    "trips.tell_traveller .on(car.unavailable)": AN_ENDING_IS_HEARD_AT_WILL,
    "order_fulfilment deadline": NO_WAY_NEEDS_IT,
    "trip_booking deadline": NO_WAY_NEEDS_IT,
    "order_fulfilment undo": UNDO_IN_ANY_ORDER,
    "trip_booking undo": UNDO_IN_ANY_ORDER,
    "order_fulfilment run_id": A_RUN_FOR_EACH_START,
    "trip_booking run_id": A_RUN_FOR_EACH_START,
}


@dataclass(frozen=True)
class Flow:
    """A shipped flow: all that takes part in it, and what a run of it is."""

    app: App
    contract: Contract

    def without(self, definition: WorkerDefinition) -> tuple[WorkerDefinition, ...]:
        return tuple(one for one in self.app.workers if one is not definition)


ORDERS = Flow(orders_app, contract_of(order_fulfilment))
TRIPS = Flow(trips_app, contract_of(trip_booking))


@dataclass(frozen=True)
class Taken:
    """A flow without one thing."""

    what: str
    flow: Flow
    workers: tuple[WorkerDefinition, ...]
    contract: Contract

    def findings(self) -> tuple[Finding, ...]:
        whole = program_of(self.flow.app, "shipped")
        workers = tuple(worker_of(definition) for definition in self.workers)
        program = Program(
            name="shipped", workers=workers, workflows=(self.contract,), payloads=whole.payloads
        )
        return findings_of([program])


def everything_taken_away(flow: Flow) -> Iterator[Taken]:
    """Each worker, each event and each setting that a builder was told; each argument of the workflow."""
    for definition in flow.app.workers:
        others = flow.without(definition)
        yield Taken(definition.full_name, flow, others, flow.contract)
        for call, left in _less(definition):
            yield Taken(f"{definition.full_name} {call}", flow, (*others, left), flow.contract)
    for argument, contract in _shorter(flow.contract):
        yield Taken(f"{flow.contract.name} {argument}", flow, flow.app.workers, contract)


def _less(definition: WorkerDefinition) -> Iterator[tuple[str, WorkerDefinition]]:
    on = "on_all" if definition.joins else "on"
    for event in definition.events if len(definition.events) > 1 else ():
        left = tuple(one for one in definition.events if one is not event)
        yield f".{on}({event.event_name})", replace(definition, events=left)
    for event in definition.emits:
        emits = tuple(one for one in definition.emits if one is not event)
        results = tuple(one for one in definition.results if one is not event)
        yield f".emits({event.event_name})", replace(definition, emits=emits, results=results)
    for call, defaults in _calls(definition).items():
        yield f".{call}()", replace(definition, **defaults)


def _shorter(contract: Contract) -> Iterator[tuple[str, Contract]]:
    for ending in contract.fails_with:
        rest = tuple(one for one in contract.fails_with if one != ending)
        yield f"fails_with {ending}", replace(contract, fails_with=rest)
    yield "deadline", replace(contract, deadline_ms=None)
    yield (
        "run_id",
        contract,
    )  # a choreography knows neither how runs are told apart nor in what order they are undone
    yield "undo", contract


def _calls(definition: WorkerDefinition) -> dict[str, dict[str, Any]]:
    """The builder calls that were made, and what their settings are without them."""
    made: dict[str, dict[str, Any]] = {}
    for field in fields(definition):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in NOT_OF_THE_BUILDER and getattr(definition, field.name) != default:
            made.setdefault(CALLS.get(field.name, field.name), {})[field.name] = default
    return made


TAKEN = {taken.what: taken for flow in (ORDERS, TRIPS) for taken in everything_taken_away(flow)}


@pytest.mark.parametrize(
    "given", [["services"], APPS, ["services.demo.stage:app"], ["services.trips:app"]], ids=" ".join
)
def test_nothing_is_found_in_the_shipped_services(given: list[str]) -> None:
    assert Pavane.on().json("check", *given, "--strict") == {"ok": True, "findings": []}


def test_each_service_alone_lacks_the_others() -> None:
    document = Pavane.on().json("check", "services.payments:app", code=1)
    found = {(one["code"], one["subject"]) for one in document["findings"]}
    assert ("unreachable_worker", "payments.charge_payment") in found


def test_everything_that_the_flows_are_made_of_is_taken_away() -> None:
    assert len(TAKEN) > 60
    assert {"payments.charge_payment .compensate_with()", "payments.charge_payment .lease()"} <= TAKEN.keys()
    for flow in (ORDERS, TRIPS):
        assert len(flow.contract.completes_with) == 1  # without it there is no workflow: `no_ending`


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
        ("trips.book_hotel", "unfillable_join", "trips.confirm_trip"),
        ("trips.book_hotel .emits(hotel.booked)", "unfillable_join", "trips.confirm_trip"),
        ("trips.confirm_trip .on_all(car.booked)", "orphan_event", "car.booked"),
        ("trips.confirm_trip", "endless_workflow", "trip_booking"),
        ("trip_booking fails_with car.unavailable", "endless_workflow", "trip_booking"),
        ("order_fulfilment fails_with payment.declined", "endless_workflow", "order_fulfilment"),
    ],
)
def test_it_is_found_for_what_it_is(what: str, code: str, subject: str) -> None:
    assert (code, subject) in {(one.code, one.subject) for one in TAKEN[what].findings()}
