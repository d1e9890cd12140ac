"""How full the queues are, as far as AMQP tells; what only the management API knows stays `None`."""

from __future__ import annotations

from pavane.client.means import Means
from pavane.model.views import QueueInfo


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
    return [
        QueueInfo(
            worker=worker,
            queue=queue,
            ready=counts[queue].ready,
            consumers=counts[queue].consumers,
            dead_letters=counts[letters[queue]].ready
            if queue in letters and letters[queue] in counts
            else None,
        )
        for queue, worker in asked.items()
        if queue in counts and (worker or counts[queue].ready)
    ]
