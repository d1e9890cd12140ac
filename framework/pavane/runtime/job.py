"""A worker's jobs: each delivery is brought to its end, and acknowledged only when nothing can be lost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Literal

from pavane.core import envelope
from pavane.core.answers import (
    BeginAnswer,
    CommitAnswer,
    Committed,
    Dead,
    Exhausted,
    Fenced,
    Granted,
    Held,
    Isolate,
    Leased,
    NotYet,
    Paused,
    Publication,
    Recorded,
    Refused,
    Stale,
    UnknownRun,
)
from pavane.core.calls import Commit, CommitUndo, Release, Verdict
from pavane.core.limiting import Rate
from pavane.core.record import JobKind
from pavane.errors import MessageError, TooLarge, Undecodable, UsageError
from pavane.model.definition import WorkerDefinition
from pavane.model.intentions import Intentions
from pavane.ports.broker import Delivery
from pavane.runtime import copies, failures, handling, rejection, turns, verdicts
from pavane.runtime.attempt import Attempt, CutShort, Outcome, Raised
from pavane.runtime.crew import Crew
from pavane.runtime.subject import Subject, subject_of

log = logging.getLogger("pavane")


class Jobs:
    """Settles the deliveries of one worker, those of its undo included."""

    def __init__(self, crew: Crew, worker: WorkerDefinition, resources: object, threads: Executor) -> None:
        self._crew = crew
        self._worker = worker
        self._resources = resources
        self._threads = threads
        self._undo_queue = crew.catalog.names.undo_queue(worker.service, worker.name)
        self._declared = frozenset(event.event_name for event in worker.emits)

    async def settle(self, delivery: Delivery) -> None:
        """Bring one delivery to its end; one that cannot be settled any more comes back."""
        crew, worker = self._crew, self._worker
        kind: JobKind = "undo" if delivery.queue == self._undo_queue else "step"
        crew.passed("receive", worker.full_name, kind)
        read = None
        try:
            read = self._read(delivery)
            if rejection.waits_for_deploy(worker, read, crew.clock.now()):
                await copies.wait_for_version(crew, delivery, read)
                return
            subject = subject_of(crew, worker, delivery, read)
            rate = turns.rate_of(subject)
        except (MessageError, UsageError) as error:
            await rejection.reject_message(crew, worker, delivery, read, error)
            return
        await self._run(subject, rate)

    def _read(self, delivery: Delivery) -> envelope.Envelope:
        message = delivery.message
        if len(message.body) > self._crew.settings.max_body:
            raise TooLarge(
                f"A body of {len(message.body)} bytes; {self._crew.settings.max_body} are allowed.",
                remedy="Send the place of large content instead; PAVANE_MAX_BODY sets the limit.",
            )
        if delivery.problem:
            raise Undecodable(delivery.problem)
        return envelope.read(message.headers, message.body, message.content_type)

    async def _run(self, subject: Subject, rate: Rate | None) -> None:
        """Run the job when it is its turn."""
        turn = await turns.wait_for_turn(self._crew, subject, rate) if rate is not None else "not needed"
        if turn == "later":
            return
        ran = await self._run_isolated(subject)
        if rate is not None and turn == "taken" and not ran:
            await turns.give_turn_back(self._crew, rate)

    async def _run_isolated(self, subject: Subject) -> bool:
        """Run the job beside others, or alone if two processes have died with it; whether its handler was called."""
        isolation = self._crew.isolation
        await isolation.enter()
        try:
            begun = await self._begin(subject, alone=False)
        finally:
            isolation.leave()
        if begun != "isolate":
            return begun == "ran"
        await isolation.enter_alone()
        try:
            return await self._begin(subject, alone=True) == "ran"
        finally:
            isolation.leave_alone()

    async def _begin(self, subject: Subject, *, alone: bool) -> Literal["ran", "settled", "isolate"]:
        """Ask for the lease until the delivery is settled, with or without the handler; or the job must be alone."""
        crew = self._crew
        begin_id = crew.begin_id()
        ended: tuple[int, ...] = ()
        verdict: Verdict | None = None
        while not crew.stopping:
            call = subject.begin(crew, begin_id, ended=ended, alone=alone, verdict=verdict)
            answer = await crew.patience.insist("state", lambda call=call: crew.store.begin(call))  # type: ignore[misc]
            crew.passed("begin", self._worker.full_name, subject.kind)
            match answer:
                case Granted():
                    fenced = await self._work(subject, answer)
                    if fenced is None:
                        return "ran"
                    begin_id, ended = crew.begin_id(), (*ended, fenced)
                case Isolate() if not alone:
                    return "isolate"
                case Exhausted() if verdict is None:
                    joined = await handling.joined_rows(crew, subject)
                    verdict = verdicts.of_answer(crew, subject, answer, joined=joined)
                case Paused():
                    if await self._hold(subject):
                        break
                case _:
                    await self._settle(subject, answer)
                    break
        return "ran" if ended else "settled"

    async def _hold(self, subject: Subject) -> bool:
        """Leave a delivery with its paused run; `False`: the pause is over, or the run is gone."""
        call = subject.hold(self._crew)
        answer = await self._crew.patience.insist("state", lambda: self._crew.store.hold(call))
        if not isinstance(answer, Held):
            return False
        self._crew.passed("hold", self._worker.full_name, subject.kind)
        subject.delivery.ack()
        return True

    async def _settle(self, subject: Subject, answer: BeginAnswer) -> None:
        """Settle a delivery that is not to be run."""
        crew, delivery = self._crew, subject.delivery
        generation = subject.envelope.generation
        match answer:
            case Committed(rows=rows):
                await crew.outbox.publish(subject.record, rows)
            case Recorded(rows=rows):
                await self._publish(subject, rows)
            case Leased(remaining=remaining) | NotYet(remaining=remaining):
                await copies.send_again(crew, delivery, generation, remaining)
                crew.passed("again_published", self._worker.full_name, subject.kind)
            case Stale():
                if answer.publish:
                    await copies.send_retry(crew, subject, answer.generation, answer.delay)
            case Dead():
                await failures.settle_dead(crew, subject, answer)
            case UnknownRun():
                error = rejection.unknown_run(subject.record, subject.envelope.event.name)
                await rejection.reject_message(crew, self._worker, delivery, subject.envelope, error)
                return
            case Refused():
                log.info("%s of %s is refused: %s", subject.step, subject.record, answer.reason)
            case Granted() | Isolate() | Exhausted() | Paused():
                raise AssertionError(f"{answer} cannot be settled without running the job")
        delivery.ack()

    async def _work(self, subject: Subject, granted: Granted) -> int | None:
        """Run the handler and write what came of it; the token, if somebody else has the job by now."""
        crew = self._crew
        attempt = Attempt(crew, subject, granted)
        intentions = Intentions(declared=self._declared, max_emits=crew.settings.max_emits)
        outcome = await self._attempt(subject, granted, attempt, intentions)
        crew.passed("handler", self._worker.full_name, subject.kind)
        if isinstance(outcome, CutShort):
            return await self._cut_short(subject, granted, outcome)
        if isinstance(outcome, Raised):
            failures.warn_of_withheld(subject, intentions, outcome)
            return await failures.fail(crew, subject, granted, outcome)
        refused = await self._commit(subject, granted, intentions, outcome.value)
        if isinstance(refused, Raised):
            return await failures.fail(crew, subject, granted, refused)
        return granted.token if isinstance(refused, Fenced) else None

    async def _attempt(
        self, subject: Subject, granted: Granted, attempt: Attempt, intentions: Intentions
    ) -> Outcome:
        try:
            call = handling.handler_call(
                subject, granted, attempt, intentions, self._resources, self._threads
            )
        except (MessageError, UsageError) as error:
            return Raised(error=error)
        return await attempt.run(call)

    async def _commit(
        self, subject: Subject, granted: Granted, intentions: Intentions, result: object
    ) -> Raised | Fenced | None:
        """Commit, publish, acknowledge. What the handler was not allowed to ask for counts as its failure."""
        crew = self._crew
        try:
            call = handling.commit_call(crew, subject, granted, intentions, result)
        except UsageError as error:
            return Raised(error=error)
        answer = await crew.patience.insist("state", lambda: self._write(call))
        crew.passed("commit", self._worker.full_name, subject.kind)
        if isinstance(answer, Fenced):
            log.warning("%s: somebody else has this job, nothing was committed", subject.step)
            return answer
        await self._publish(subject, answer.rows)
        subject.delivery.ack()
        return None

    async def _publish(self, subject: Subject, rows: Sequence[Publication]) -> None:
        """Publish what this delivery's own call has written."""
        crew, worker = self._crew, self._worker.full_name
        await crew.outbox.publish(
            subject.record, rows, marked=lambda: crew.passed("mark", worker, subject.kind)
        )
        crew.passed("publish", worker, subject.kind)

    async def _write(self, call: Commit | CommitUndo) -> CommitAnswer:
        store = self._crew.store
        return await (store.commit_undo(call) if isinstance(call, CommitUndo) else store.commit(call))

    async def _cut_short(self, subject: Subject, granted: Granted, outcome: CutShort) -> int | None:
        """Give the lease back. After a lost lease the delivery is begun again; at shutdown it returns by itself."""
        crew = self._crew
        call = Release(
            record=subject.record,
            subscribed=crew.subscriptions.framework,
            step=subject.step,
            kind=subject.kind,
            token=granted.token,
            reason=outcome.why,
        )
        answer = await crew.patience.insist("state", lambda: crew.store.release(call))
        if not isinstance(answer, Fenced):
            await crew.outbox.publish(subject.record, answer.rows)
        return None if outcome.why == "shutdown" else granted.token
