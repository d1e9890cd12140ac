"""Who has to publish what: the part of broker users that does not depend on the broker."""

from __future__ import annotations

from pavane.core.access import outside_events, published_by
from pavane.core.choreography import Choreography, Contract, Program, Worker
from pavane.core.topology import FRAMEWORK_EVENTS

SHOP = Choreography(
    [
        Program(
            name="stock",
            workers=(
                Worker(
                    name="stock.reserve",
                    hears=("order.placed", "truck.arrived"),
                    results=("stock.reserved",),
                    extras=("stock.low",),
                    answers=("stock.failed",),
                ),
            ),
            workflows=(
                Contract(name="orders", starts_with="order.placed", completes_with=("order.paid",)),
                Contract(name="bills", starts_with="bill.wanted", completes_with=("bill.paid",)),
            ),
        ),
        Program(
            name="payments",
            workers=(
                Worker(name="payments.charge", hears=("stock.reserved",), results=("order.paid",)),
                Worker(name="payments.bill", hears=("order.paid",), results=("bill.wanted",)),
                Worker(name="payments.tell", hears=("pavane.run_ended", "price.changed", "nobody.says")),
            ),
            outside=("price.changed", "order.paid"),
        ),
    ]
)


def test_from_outside_comes_what_is_said_to_and_what_no_worker_sends() -> None:
    assert outside_events(SHOP) == (
        "nobody.says",  # heard, and nobody sends it
        "order.paid",  # a worker sends it too, and an app says that others do
        "order.placed",  # starts a run
        "price.changed",
        "truck.arrived",
    )


def test_a_service_publishes_what_it_sends_and_for_clients_what_it_hears() -> None:
    assert published_by(SHOP, "stock") == (
        *("order.placed", "stock.failed", "stock.low", "stock.reserved", "truck.arrived"),
        *FRAMEWORK_EVENTS,
    )


def test_what_another_service_sends_it_does_not_publish_though_it_hears_it() -> None:
    assert published_by(SHOP, "payments") == (
        *("bill.wanted", "nobody.says", "order.paid", "price.changed"),
        *FRAMEWORK_EVENTS,
    )
