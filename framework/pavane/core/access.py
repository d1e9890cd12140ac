"""Who has to publish which event for the declared choreography to work: what users of a broker are made of.

A process publishes what its own workers emit, and pavane's events. Of an event that comes from outside, the rows
may lie in the outbox of a client that died: whoever hears it can publish them instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from pavane.core.choreography import Choreography, is_framework_event
from pavane.core.topology import FRAMEWORK_EVENTS


def outside_events(choreography: Choreography) -> tuple[str, ...]:
    """Events that clients and other systems publish, sorted.

    Those that an app says come from outside, and those that start a run or are heard, and no worker emits.
    """
    heard = {event for worker in choreography.workers for event in worker.hears}
    found = set(choreography.outside)
    found |= {event for event in choreography.starts | heard if not choreography.sending(event)}
    return tuple(sorted(event for event in found if not is_framework_event(event)))


def published_by(choreography: Choreography, service: str) -> tuple[str, ...]:
    """Events that processes of a service publish, sorted, pavane's own at the end."""
    own = [worker for worker in choreography.workers if worker.name.partition(".")[0] == service]
    emitted = {event for worker in own for event in worker.sends}
    heard = {event for worker in own for event in worker.hears}
    orphaned = {event for event in outside_events(choreography) if not choreography.sending(event)}
    return (*sorted(emitted | heard & orphaned), *FRAMEWORK_EVENTS)


def users_of(namespace: str, services: Sequence[str]) -> dict[str, str]:
    """The name of each service's user."""
    return {service: f"{namespace}.service.{service}" for service in services}


def outside_user(namespace: str) -> str:
    """The user of clients that start runs, and of other systems."""
    return f"{namespace}.outside"


def operator_user(namespace: str) -> str:
    """The user of people: `topology apply`, dead letters, steering."""
    return f"{namespace}.operator"
