"""A reader of the contracts can follow the flow by the handlers' signatures, and every event has one owner."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import defaultdict

import contracts
import pavane.events
from contracts.order_fulfilment import order_fulfilment
from contracts.trips import trip_booking
from pavane import Event
from services.demo.stage import app as orders_app
from services.trips import app as trips_app

WORKERS = (*orders_app.workers, *trips_app.workers)
WORKFLOWS = (order_fulfilment, trip_booking)
STARTS = {workflow.starts_with for workflow in WORKFLOWS}


def contract_events() -> dict[type[Event], str]:
    """Every event class of the contracts, with the package that defines it."""
    found: dict[type[Event], str] = {}
    for module in pkgutil.walk_packages(contracts.__path__, "contracts."):
        for _, each in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(each, Event) and each.event_name and each.__module__ == module.name:
                found[each] = module.name.split(".")[1]
    return found


def test_there_is_a_package_for_each_service() -> None:
    packages = {module.name for module in pkgutil.iter_modules(contracts.__path__)}
    services = {service.name for service in (*orders_app.services, *trips_app.services)}
    assert packages == services | {order_fulfilment.name}


def test_every_event_is_told_by_the_one_service_that_owns_it() -> None:
    producers: dict[type[Event], set[str]] = defaultdict(set)
    for worker in WORKERS:
        for event in worker.produces:
            producers[event].add(worker.service)
    for event, owner in contract_events().items():
        # The shop in front of the services places orders, travellers request trips; no service does.
        expected = set() if event in STARTS else {owner}
        assert producers[event] == expected, event.event_name


def test_every_event_but_the_endings_is_waited_for_by_somebody() -> None:
    waited_for = {event for worker in WORKERS for event in worker.events}
    assert contract_events().keys() <= waited_for
    assert waited_for - contract_events().keys() == {pavane.events.RunEnded}


def test_the_ways_from_the_starts_to_the_endings_are_in_the_signatures() -> None:
    after: dict[type[Event], set[type[Event]]] = defaultdict(set)
    for worker in WORKERS:
        for event in worker.events:
            after[event].update(worker.produces)
    reached: set[type[Event]] = set()
    ahead: list[type[Event]] = [*STARTS]
    while ahead:
        event = ahead.pop()
        if event not in reached:
            reached.add(event)
            ahead += after[event]
    assert reached == set(contract_events())
    for workflow in WORKFLOWS:
        assert {*workflow.completes_with, *workflow.fails_with} <= reached


def test_every_step_that_has_an_effect_before_the_end_can_be_undone() -> None:
    undoable = {worker.full_name for worker in WORKERS if worker.compensation is not None}
    orders = {"inventory.reserve_stock", "payments.charge_payment", "shipping.create_shipment"}
    assert undoable == orders | {"trips.book_flight", "trips.book_hotel", "trips.book_car"}
