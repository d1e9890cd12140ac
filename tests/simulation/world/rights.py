"""Broker users of services: what each may publish, by the plan alone, not by what `topology export` makes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pavane.core.topology import FRAMEWORK_EVENTS
from pavane.ports.broker import Address, ToSubscribers
from tests.workload.plan import FAILED, STARTED, TOLD, Plan, Work

Rights = Callable[[Address], bool]
"""Whether a user may publish there."""


def everything(to: Address) -> bool:
    """The rights of a user that all processes share."""
    return True


def rights_of(plan: Plan, service: str) -> Rights:
    """What processes of a service need: its events, and messages into its own queues.

    Of an event that comes from outside the row may be left by a client that died: those who hear it publish it.
    """
    own = [work for work in plan.works if work.service == service]
    events = {event for work in own for event in published(work)} | set(FRAMEWORK_EVENTS)

    def may(to: Address) -> bool:
        return to.event in events if isinstance(to, ToSubscribers) else owner(to.queue) in (service, "")

    return may


def published(work: Work) -> Collection[str]:
    outside = {STARTED, TOLD}.intersection(work.takes)
    failing = {FAILED} if work.fails or work.exhausted == "answer" else set[str]()
    return {*work.emits, *outside, *failing}


def owner(queue: str) -> str:
    """The service whose queue it is (`ns.q.<service>.<worker>`); empty: everybody's, as the parked ones."""
    parts = queue.split(".")
    return parts[2] if len(parts) == 4 else ""
