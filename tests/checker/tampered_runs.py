"""How the afternoon would look if a promise about runs, commits, events or messages had been broken."""

from __future__ import annotations

from dataclasses import replace

from pavane.core.record import Attempt, OutboxRow
from tests.checker.evidence import Evidence, Found, Planned, Worker
from tests.checker.stories import added, changed, entries, moved, of_record, row_of
from tests.checker.tampering import asked, begun, breaks, ended

# I1 and I2


@breaks("I1")
def a_start_was_accepted_and_made_no_run(evidence: Evidence) -> Evidence:
    answer = entries(evidence, op="start", type="ok")[0]
    lost = (replace(one, record="parcels:z", event="z") for one in (asked(evidence, answer), answer))
    return added(evidence, *lost)


@breaks("I1")
def a_planned_start_was_accepted_and_made_no_run(evidence: Evidence) -> Evidence:
    starts = (*evidence.plan.starts, Planned(record="parcels:z", asked="ok"))
    return replace(evidence, plan=replace(evidence.plan, starts=starts))


@breaks("I1")
def a_run_was_begun_by_two_events(evidence: Evidence) -> Evidence:
    answer = entries(evidence, op="start", type="ok")[0]
    return added(
        evidence, asked(evidence, answer), replace(answer, detail={"created": True, "event_id": "other"})
    )


@breaks("I2")
def a_run_hangs_in_silence(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "e")
    record.head.paused_at = 0
    return replace(evidence, listed=None)


@breaks("I2")
def a_dead_letter_is_not_among_the_reasons(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "c")
    record.head.stalled = ["idle"]
    return evidence


@breaks("I2")
def a_reason_is_not_true(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "c")
    record.head.stalled.append("undo_stuck:post.weigh:nothing")
    return evidence


# I3 and I4


@breaks("I3")
def a_step_has_two_committed_attempts(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    again = Attempt(number=2, token=99, started_at=1, host="h", outcome="committed")
    row_of(record, "weigh").work.attempts.append(again)
    return evidence


@breaks("I3")
def a_commit_was_answered_and_is_not_there(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    row_of(record, "tell").work.done = False
    return evidence


@breaks("I3")
def a_commit_counts_twice(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    record.head.commits += 1
    return evidence


@breaks("I3")
def committed_data_is_lost(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    del record.data["grams"]
    return evidence


@breaks("I4")
def another_holder_was_granted_the_job_before_the_commit(evidence: Evidence) -> Evidence:
    answer = begun(evidence, "a", "weigh")
    other = {**asked(evidence, answer).detail, "begin_id": "other"}
    return added(
        evidence,
        replace(asked(evidence, answer), detail=other, process="stranger"),
        replace(answer, token=99, process="stranger"),
        before=ended(evidence, "a", "weigh", type="invoke"),
    )


@breaks("I4")
def a_step_was_committed_whose_handler_never_started(evidence: Evidence) -> Evidence:
    run = ended(evidence, "a", "weigh", "handler", "invoke")
    kept = [one for one in evidence.effects if one.step != run.step]
    workers = {**evidence.workers, run.worker: replace(evidence.workers[run.worker], effects=False)}
    return changed(replace(evidence, effects=kept, workers=workers), run, token=98)


@breaks("I4")
def one_token_was_granted_to_two(evidence: Evidence) -> Evidence:
    answer = begun(evidence, "a", "weigh")
    other = {**asked(evidence, answer).detail, "begin_id": "other"}
    return added(evidence, replace(asked(evidence, answer), detail=other), answer)


# I5 and I6


@breaks("I5")
def an_event_was_seen_before_its_commit(evidence: Evidence) -> Evidence:
    [sent] = entries(evidence, op="deliver", record="parcels:a", worker="post.wait")
    return moved(evidence, sent, before=ended(evidence, "a", "pack", type="invoke"))


@breaks("I5")
def nobody_has_written_an_event(evidence: Evidence) -> Evidence:
    publish = entries(evidence, op="publish", type="invoke", record="parcels:a")[-1]
    return added(evidence, replace(publish, event="ghost"))


@breaks("I5")
def the_payload_varies(evidence: Evidence) -> Evidence:
    return changed(evidence, entries(evidence, op="deliver", worker="post.wait")[0], payload="another")


@breaks("I5")
def a_second_attempt_gave_its_event_another_id(evidence: Evidence) -> Evidence:
    commit = ended(evidence, "a", "weigh", type="invoke")
    events = [["another", *commit.detail["events"][0][1:]]]
    return added(evidence, replace(commit, detail={**commit.detail, "events": events}))


@breaks("I6")
def a_subscriber_was_never_reached(evidence: Evidence) -> Evidence:
    audit = Worker(name="post.audit", events=("parcels.sent",))
    return replace(evidence, workers={**evidence.workers, audit.name: audit})


@breaks("I6")
def an_event_lies_in_the_outbox_for_ever(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    event = record.head.start_event
    record.outbox[event] = OutboxRow(id=event, kind="event")
    return evidence


# I7


@breaks("I7")
def a_message_is_left(evidence: Evidence) -> Evidence:
    return replace(evidence, queues=[*evidence.queues, Found(place="queue", queue="pavane.q.post.weigh")])


@breaks("I7")
def no_message_brings_a_job_on(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "d")
    row_of(record, "wait").state = "retrying"
    record.head.retrying = 1
    return replace(evidence, listed=None)


@breaks("I7")
def a_delivery_was_acknowledged_before_its_event_was_published(evidence: Evidence) -> Evidence:
    ack = ended(evidence, "a", "pack", "ack")
    publish = entries(evidence, op="publish", type="invoke", record="parcels:a")
    packed = next(one for one in publish if one.detail.get("name") == "parcels.packed")
    return moved(evidence, ack, before=packed)


@breaks("I7")
def a_delivery_vanished(evidence: Evidence) -> Evidence:
    ack = ended(evidence, "a", "pack", "ack")
    [sent] = entries(evidence, seq=ack.of)
    queue = {"queue": "pavane.q.post.audit"}
    strangers = [
        replace(one, worker="post.audit", step=f"post.audit:{ack.event}", detail=queue) for one in (sent, ack)
    ]
    return added(evidence, *strangers)
