"""Whether every way that a run of a workflow can take leads to an event that ends it.

An event *may end* a run if some way from it leads to an ending. It *surely ends* it if it is an ending, or a
worker hears it each of whose results surely ends it. A worker that returns an event or nothing is given the
benefit of the doubt, because it may wait for a second event; one that sends nothing at all leads nowhere. A join
leads on if, for each of its other events, a worker that sends it surely ends the run, this way or another.
"""

from __future__ import annotations

from collections.abc import Iterator

from pavane.core.choreography import Choreography, Contract, Finding, Worker, begins


def ending_findings(choreography: Choreography) -> Iterator[Finding]:
    """`endless_workflow`."""
    for workflow in choreography.workflows:
        way = _Ways(choreography, workflow)
        if not way.can_complete:
            yield _never_completes(workflow)
        elif not way.may_be_ended_from_outside:
            yield from (_dead_end(workflow, event, senders) for event, senders in way.dead_ends())


class _Ways:
    """The ways of a workflow's runs: the events inside a run, from its start to its endings."""

    def __init__(self, choreography: Choreography, workflow: Contract) -> None:
        self._choreography = choreography
        self._workflow = workflow
        self._inside = self._reached({workflow.starts_with, *choreography.outside})
        self._may_end = self._ending_at_all()

    @property
    def can_complete(self) -> bool:
        return not self._inside.isdisjoint(self._workflow.completes_with)

    @property
    def may_be_ended_from_outside(self) -> bool:
        """Whether a run that has come to rest can be brought on by an event from outside."""
        return not self._may_end.isdisjoint(self._choreography.outside)

    def dead_ends(self) -> Iterator[tuple[str, tuple[Worker, ...]]]:
        """Events after which a run that had a way to an ending has none any more, and who sends them."""
        sure = self._ending_for_sure()
        found: dict[str, list[Worker]] = {}
        for event in sorted(self._inside & self._may_end - sure):
            for worker in self._movers(event):
                for outcome in self._outcomes(worker):
                    if outcome not in self._may_end and worker not in found.setdefault(outcome, []):
                        found[outcome].append(worker)
        yield from ((event, tuple(senders)) for event, senders in found.items())

    def _reached(self, begin: set[str]) -> frozenset[str]:
        reached, ahead = set[str](), list(begin)
        while ahead:
            event = ahead.pop()
            if event in reached:
                continue
            reached.add(event)
            # An event that starts a run belongs to that run.
            ahead += [
                sent
                for worker in self._movers(event)
                if begins(worker, reached)
                for sent in worker.sends
                if sent not in self._choreography.starts
            ]
        return frozenset(reached)

    def _movers(self, event: str) -> tuple[Worker, ...]:
        return self._choreography.moving(event, self._workflow)

    def _ending_at_all(self) -> frozenset[str]:
        found = set(self._workflow.endings)
        while more := {
            event
            for event in self._inside - found
            if any(
                begins(worker, self._inside) and not found.isdisjoint(worker.sends)
                for worker in self._movers(event)
            )
        }:
            found |= more
        return frozenset(found)

    def _ending_for_sure(self) -> frozenset[str]:
        """The largest set whose events are endings or lead to others of it only; a cycle with a way out counts."""
        sure = set(self._may_end)
        while doubtful := {
            event
            for event in sure - set(self._workflow.endings)
            if not any(
                self._always_leads_on(worker, sure) and self._others_come(worker, event, sure)
                for worker in self._movers(event)
            )
        }:
            sure -= doubtful
        return frozenset(sure)

    def _always_leads_on(self, worker: Worker, sure: set[str]) -> bool:
        outcomes = self._outcomes(worker)
        leads_on = bool(worker.results) or self._may_go_on_besides(worker)
        return leads_on and all(event in sure for event in outcomes)

    def _others_come(self, worker: Worker, event: str, sure: set[str]) -> bool:
        """Whether a join that has this event gets its others, or the run ends for want of them."""
        others = [other for other in worker.hears if other != event] if worker.joins else []
        return all(
            self._choreography.comes_from_outside(other)
            or any(self._always_leads_on(sender, sure) for sender in self._choreography.sending(other))
            for other in others
        )

    def _outcomes(self, worker: Worker) -> tuple[str, ...]:
        """Events each of which may be all that comes of a step of it."""
        results = () if self._may_go_on_besides(worker) else worker.results
        return (*results, *worker.answers)

    def _may_go_on_besides(self, worker: Worker) -> bool:
        """Whether an event that it sends beside its result may end the run."""
        return not self._may_end.isdisjoint(worker.extras)


def _never_completes(workflow: Contract) -> Finding:
    events = " or ".join(workflow.completes_with)
    return Finding(
        code="endless_workflow",
        severity="error",
        subject=workflow.name,
        message=f"No run of it can complete: nothing that follows {workflow.starts_with} leads to {events}.",
        place=workflow.place,
        remedy="Let a worker on the way emit it, check the programs that do as well, "
        "or name it in App(events=[…]).",
    )


def _dead_end(workflow: Contract, event: str, senders: tuple[Worker, ...]) -> Finding:
    by = " and ".join(worker.name for worker in senders)
    waits = (
        "waits for its deadline and fails." if workflow.deadline_ms else "never ends, and has no deadline."
    )
    return Finding(
        code="endless_workflow",
        severity="warning" if workflow.deadline_ms else "error",
        subject=workflow.name,
        message=f"After {event}, which may be all that comes of {by}, nothing leads to an ending: the run {waits}",
        place=workflow.place,
        remedy=f"Add {event} to fails_with=[…] or completes_with=[…], or let a worker that hears it go on.",
    )
