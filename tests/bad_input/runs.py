"""What concerns runs: ids that are none, events that claim a run, workers that feed each other."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bad_input.case import HANDLED, Case, Group
from tests.bad_input.messages import IN_THE_QUEUE

RUN_IDS = "Let `run_id` return only `[A-Za-z0-9._:-]{1,128}`: replace or hash the rest."


@dataclass(frozen=True, kw_only=True)
class RunId(Case):
    """What a workflow's `run_id` function returns."""

    code: str = "usage_error"
    seen: str = f"`client.start` raises it; for an event from elsewhere: {IN_THE_QUEUE}"
    remedy: str = RUN_IDS
    run_id: str


BAD_RUN_IDS = (
    RunId(what="a run id with spaces", run_id="a b"),
    RunId(what="a run id with slashes", run_id="../../a"),
    RunId(what="a run id with braces, which would move the run to another shard", run_id="{s07}"),
    RunId(what="a run id with wildcards", run_id="*.#"),
    RunId(what="a run id with control characters", run_id="a\r\n\x1b[31m"),
    RunId(what="a run id of other alphabets", run_id="заказ"),
    RunId(what="an empty run id", run_id=""),
    RunId(what="a run id of 10,000 characters", run_id="x" * 10_000),
)

NEWER = Case(
    what="a version newer than the class",
    code="unknown_event",
    seen=f"it goes round the delay wheel for ten minutes, without an attempt; then: {IN_THE_QUEUE}",
    remedy="Deploy the service that knows it; within ten minutes nothing more is needed, later redrive.",
)
OF_A_LIVE_RUN = Case(
    what="a bad payload that names a run which exists",
    code="invalid_payload",
    seen=f"`pavane runs show`: the run is stalled and names the step; {IN_THE_QUEUE}",
    remedy="Mend and redrive, or emit a good event into the run and discard the letter.",
)
CYCLE = Case(
    what="two workers that feed each other",
    code="rejected",
    seen=f"after 64 events (`PAVANE_MAX_HOPS`), error type `LimitExceeded`; {IN_THE_QUEUE}",
    remedy="Break the cycle, or put a timer into it: counting starts again there.",
)
UNDECLARED = Case(
    what="a handler that emits, or returns, an event it did not declare",
    code="rejected",
    seen=f"error type `UndeclaredEvent`, nothing is emitted; {IN_THE_QUEUE}",
    remedy="Name the event in `.emits(…)` or in the return annotation, deploy, redrive.",
)
FORGED_START = Case(
    what="a starting event whose `pavane-run` names another run",
    code=HANDLED,
    seen="`pavane runs ls`: it starts its own run, as its workflow's `run_id` says; the other is untouched",
    remedy="Nothing to do.",
)
FORGED_UNDO = Case(
    what="an undo that nobody asked for, put into the undo queue",
    code=HANDLED,
    seen="nowhere: undoing is decided by the run's record, the message is dropped",
    remedy="Find out who may publish to `*.jobs.<service>`.",
)
UNDO_GARBAGE = Case(
    what="garbage in the undo queue",
    code="undecodable",
    seen=IN_THE_QUEUE,
    remedy="Find out who may publish to `*.jobs.<service>`; discard the letter.",
)
INTAKE_GARBAGE = Case(
    what="garbage in a service's intake",
    code="parked",
    seen="the queue `*.parked`, and `pavane doctor` (`parked`)",
    remedy="Find out who may publish to `*.jobs.<service>`; look at the message with RabbitMQ's tools.",
)
TOO_LARGE_CALL = Case(
    what="starting or emitting an event over 256 KiB (`PAVANE_MAX_BODY`)",
    code="too_large",
    seen="`client.start` and `client.emit` raise it; nothing is recorded",
    remedy="Keep large content elsewhere and send its place; or raise the limit everywhere.",
)
TOO_LARGE_EMIT = Case(
    what="a handler that emits an event over 256 KiB",
    code="rejected",
    seen=f"error type `LimitExceeded`; {IN_THE_QUEUE}",
    remedy="Keep large content elsewhere and send its place, deploy, redrive.",
)
NO_SUCH_RUN = Case(
    what="an event emitted into a run that does not exist",
    code="run_not_found",
    seen="`client.emit` raises it, `pavane` ends with 3",
    remedy="Start the run first.",
)
SECOND_START = Case(
    what="a second starting event for a run id that exists, with another payload",
    code=HANDLED,
    seen="`pavane runs history`: `conflict`; the first payload stays",
    remedy="Give the new order another id.",
)

GROUPS = (
    Group(
        title="Run ids that a workflow makes",
        about="Checked where the run would start. Names of queues and keys are made of them.",
        cases=BAD_RUN_IDS,
    ),
    Group(
        title="Events in time and in runs",
        about="What a sender, a handler or a client can get wrong about time, runs and sizes.",
        cases=(
            NEWER,
            OF_A_LIVE_RUN,
            CYCLE,
            UNDECLARED,
            TOO_LARGE_CALL,
            TOO_LARGE_EMIT,
            NO_SUCH_RUN,
            SECOND_START,
            FORGED_START,
            FORGED_UNDO,
            UNDO_GARBAGE,
            INTAKE_GARBAGE,
        ),
    ),
)
