"""Where events come from and where they go: what is sent to nobody, heard from nobody, or goes round in circles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pavane.core.choreography import Choreography, Contract, Finding, Worker, begins
from pavane.model.source import Place


def flow_findings(choreography: Choreography) -> Iterator[Finding]:
    """`orphan_event`, `unreachable_worker` and `cycle_without_timer`."""
    reached = reached_events(choreography)
    yield from _unheard(choreography)
    yield from _unsent(choreography, reached)
    yield from _unreachable(choreography, reached)
    yield from _cycles(choreography, reached)


def reached_events(choreography: Choreography) -> frozenset[str]:
    """Every event that can come about, from what clients, systems outside and pavane itself send."""
    heard = {event for worker in choreography.workers for event in worker.hears}
    reached = {event for event in heard | choreography.endings if choreography.comes_from_outside(event)}
    waiting = list(choreography.workers)
    while begun := [worker for worker in waiting if begins(worker, reached)]:
        reached.update(event for worker in begun for event in worker.sends)
        waiting = [worker for worker in waiting if worker not in begun]
    return frozenset(reached)


def _unheard(choreography: Choreography) -> Iterator[Finding]:
    """Sent, and neither heard by a worker nor of any meaning to a workflow."""
    sent = dict.fromkeys(event for worker in choreography.workers for event in worker.sends)
    for event in dict.fromkeys((*sent, *sorted(choreography.outside))):
        if choreography.hearing(event) or event in choreography.endings or event in choreography.starts:
            continue
        senders = choreography.sending(event)
        by = names_of(senders) if senders else "A system outside"
        yield Finding(
            code="orphan_event",
            severity="warning",
            subject=event,
            message=f"{by} sends it and nobody hears it: no worker subscribes to it, it ends no workflow.",
            place=senders[0].place if senders else choreography.place_of(event),
            remedy="Subscribe to it, check the programs that do as well, or stop sending it.",
        )


def _unsent(choreography: Choreography, reached: frozenset[str]) -> Iterator[Finding]:
    """Waited for by a workflow, or by a worker that other events reach, and sent by nobody."""
    waited: dict[str, list[str]] = {}
    places: dict[str, Place] = {}
    for workflow in choreography.workflows:
        for event in _endings_that_others_replace(workflow, reached):
            waited.setdefault(event, []).append(f"it ends {workflow.name}")
            places.setdefault(event, workflow.place)
    for worker in choreography.workers:
        for event in worker.hears if begins(worker, reached) else ():
            waited.setdefault(event, []).append(f"{worker.name} hears it")
            places.setdefault(event, worker.place)
    for event, why in waited.items():
        if choreography.comes_from_outside(event) or choreography.sending(event):
            continue
        yield Finding(
            code="orphan_event",
            severity="warning",
            subject=event,
            message=f"Nobody sends it, but {' and '.join(why)}.",
            place=places[event],
            remedy="Let a worker emit it, check the programs that do as well, or name it in App(events=[…]).",
        )


def _endings_that_others_replace(workflow: Contract, reached: frozenset[str]) -> tuple[str, ...]:
    """If no event can complete it at all, that is `endless_workflow`."""
    can_complete = not reached.isdisjoint(workflow.completes_with)
    return workflow.endings if can_complete else workflow.fails_with


def _unreachable(choreography: Choreography, reached: frozenset[str]) -> Iterator[Finding]:
    for worker in choreography.workers:
        # Where one event of a join can come and another cannot, that is `unfillable_join`.
        if not set(worker.hears).isdisjoint(reached):
            continue
        yield Finding(
            code="unreachable_worker",
            severity="error",
            subject=worker.name,
            message=f"It never gets a job: {'; '.join(why_unreached(choreography, e) for e in worker.hears)}.",
            place=worker.place,
            remedy="Let a worker emit the event, check the programs that do as well, "
            "or name it in App(events=[…]).",
        )


def why_unreached(choreography: Choreography, event: str) -> str:
    """Why the event never comes about."""
    senders = choreography.sending(event)
    if not senders:
        return f"nobody sends {event}"
    return f"{event} comes only from {names_of(senders)}, which cannot be reached"


def _cycles(choreography: Choreography, reached: frozenset[str]) -> Iterator[Finding]:
    """One finding for each set of workers that lead back to each other without a timer on the way."""
    after = {
        worker.name: tuple(
            (event, next_worker) for event in worker.at_once for next_worker in choreography.hearing(event)
        )
        for worker in choreography.workers
        # A join runs once in a run: no cycle turns through it.
        if begins(worker, reached) and not worker.joins
    }
    told: set[str] = set()
    for worker in choreography.workers:
        way = () if worker.name in told else _way_back(worker, after)
        if not way:
            continue
        told.update(name for name, _ in way)
        drawn = "".join(f"{name} → {event} → " for name, event in way) + worker.name
        yield Finding(
            code="cycle_without_timer",
            severity="warning",
            subject=worker.name,
            message=f"It leads back to itself at once: {drawn}.",
            place=worker.place,
            remedy="Send one of these events with ctx.after(…): otherwise the cycle turns as fast as it can, "
            "and ends at max_hops with a dead letter.",
        )


def _way_back(start: Worker, after: dict[str, tuple[tuple[str, Worker], ...]]) -> tuple[tuple[str, str], ...]:
    """The shortest way from the worker to itself, as (worker, the event it sends); empty if there is none."""
    ways: list[tuple[Worker, tuple[tuple[str, str], ...]]] = [(start, ())]
    seen: set[str] = set()
    for worker, way in ways:  # grows while it is read: breadth first
        for event, next_worker in after.get(worker.name, ()):
            longer = (*way, (worker.name, event))
            if next_worker.name == start.name:
                return longer
            if next_worker.name not in seen:
                seen.add(next_worker.name)
                ways.append((next_worker, longer))
    return ()


def names_of(workers: Iterable[Worker]) -> str:
    """The workers, for a sentence."""
    return " and ".join(worker.name for worker in workers)
