"""How full the queues are: by AMQP, and with `PAVANE_MANAGEMENT_URL` what only the management API knows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pavane.client.means import Means
from pavane.errors import BrokerUnavailable
from pavane.model.views import QueueInfo
from pavane.settings import Settings

if TYPE_CHECKING:
    from pavane.adapters.rabbitmq.rates import QueueRates

PATIENCE: Final = 3.0
"""Seconds for the management API, which may be down while queues are served."""

log = logging.getLogger("pavane")


async def queue_figures(means: Means) -> list[QueueInfo]:
    """Every queue of the registered services that exists: of workers, their undo queues, intakes, and `parked`.

    A worker's dead letters are told beside its own queue. `worker` is the service for an intake, and empty
    for `parked`, which is left out while it is empty.
    """
    names = means.names
    registrations = await means.store.registrations()
    workers = sorted({worker for one in registrations for worker in one.subscriptions})
    split = [tuple(worker.split(".", 1)) for worker in workers]
    asked = {names.queue(service, name): f"{service}.{name}" for service, name in split}
    asked |= {names.undo_queue(service, name): f"{service}.{name}" for service, name in split}
    asked |= {names.intake(service): service for service in dict.fromkeys(service for service, _ in split)}
    asked[names.parked] = ""
    letters = {names.queue(service, name): names.dead_letter_queue(service, name) for service, name in split}
    counted = await means.broker.count([*asked, *letters.values()])
    counts = {count.queue: count for count in counted if count is not None}
    rates = await _rates(means.settings)
    return [
        QueueInfo(
            worker=worker,
            queue=queue,
            ready=counts[queue].ready,
            unacked=rates[queue].unacked if queue in rates else None,
            in_per_s=rates[queue].in_per_s if queue in rates else None,
            out_per_s=rates[queue].out_per_s if queue in rates else None,
            consumers=counts[queue].consumers,
            dead_letters=counts[letters[queue]].ready
            if queue in letters and letters[queue] in counts
            else None,
        )
        for queue, worker in asked.items()
        if queue in counts and (worker or counts[queue].ready)
    ]


async def _rates(settings: Settings) -> Mapping[str, QueueRates]:
    """By queue; empty, and said in the log, if the management API does not answer."""
    if settings.management_url is None or settings.broker_url is None:
        return {}
    # Imported here, because a test in memory should not have to load what it never uses.
    from pavane.adapters.rabbitmq.rates import Rates

    api = Rates(settings.management_url, settings.broker_urls[0], timeout=PATIENCE)
    try:
        return await api.of_queues()
    except BrokerUnavailable as error:
        log.warning("unacknowledged messages and rates are not seen: %s %s", error, error.remedy)
        return {}
