"""How it would look if one about undos, timers, joins, attempts, letters, reads or what is left had been broken."""

from __future__ import annotations

from dataclasses import replace

from pavane.core.record import History
from tests.checker.evidence import Evidence, Logged
from tests.checker.history import Entry
from tests.checker.stories import added, changed, entries, of_record, row_of
from tests.checker.tampering import SECOND, asked, begun, breaks, ended

# I8 and I9


@breaks("I8")
def undone_in_the_order_in_which_it_was_done(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "b")
    places = [place for place, line in enumerate(record.history) if line.kind == "undo_done"]
    steps = [record.history[place].step for place in places]
    for place, step in zip(places, reversed(steps), strict=True):
        record.history[place] = replace(record.history[place], step=step)
    return evidence


@breaks("I8")
def a_step_was_not_undone(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "b")
    record.history.remove(next(line for line in record.history if line.kind == "undo_done"))
    return evidence


@breaks("I8")
def nothing_was_undone_outside(evidence: Evidence) -> Evidence:
    return replace(evidence, effects=[one for one in evidence.effects if one.kind == "step"])


@breaks("I9")
def an_undo_began_in_a_run_that_went_well(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    seq = record.head.seq + 1
    record.history.append(History(seq=seq, at=1, kind="undo_started", step=row_of(record, "weigh").step))
    return evidence


@breaks("I9")
def a_late_event_was_published(evidence: Evidence) -> Evidence:
    return changed(evidence, ended(evidence, "a", "weigh"), answer="Late")


@breaks("I9")
def a_step_began_in_a_failing_run(evidence: Evidence) -> Evidence:
    return changed(evidence, begun(evidence, "b", "pack"), detail={"now": evidence.now})


# I10 and I11


@breaks("I10")
def a_timer_fired_too_early(evidence: Evidence) -> Evidence:
    ticks = [one for one in entries(evidence, op="tick", type="ok") if one.detail["rows"]]
    return changed(evidence, ticks[0], detail={"now": ticks[0].detail["now"] - 30_000})


@breaks("I10")
def a_timer_fired_twice(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    record.history.append(next(line for line in record.history if line.kind == "timer_fired"))
    return evidence


@breaks("I10")
def a_timer_never_fires(evidence: Evidence) -> Evidence:
    return replace(evidence, now=evidence.now + 120_000)


@breaks("I11")
def a_join_is_complete_and_has_not_fired(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    record.joins["post.pack"] = replace(record.joins["post.pack"], fired=False)
    return evidence


@breaks("I11")
def a_join_counted_one_event_twice(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    join = record.joins["post.pack"]
    record.joins["post.pack"] = replace(join, arrived=(*join.arrived, join.arrived[0]))
    return evidence


# I12, I13, I14


@breaks("I12")
def a_job_was_tried_again_too_early(evidence: Evidence) -> Evidence:
    first, again = begun(evidence, "a", "pack"), begun(evidence, "a", "pack", 1)
    return changed(evidence, again, detail={"now": first.detail["now"]})


@breaks("I12")
def an_old_copy_ran(evidence: Evidence) -> Evidence:
    return changed(evidence, asked(evidence, begun(evidence, "a", "pack", 1)), generation=0)


@breaks("I12")
def a_job_was_given_up_early(evidence: Evidence) -> Evidence:
    return changed(evidence, ended(evidence, "c", "label", "fail"), detail={"reason": "attempts"})


@breaks("I12")
def an_outage_cost_an_attempt(evidence: Evidence) -> Evidence:
    failed = ended(evidence, "a", "pack", "fail", "invoke")
    return changed(evidence, failed, detail={"error_type": "StateUnavailable"})


@breaks("I13")
def a_letter_lies_nowhere(evidence: Evidence) -> Evidence:
    return replace(evidence, queues=[one for one in evidence.queues if one.place != "letters"])


@breaks("I13")
def a_letter_is_in_no_index(evidence: Evidence) -> Evidence:
    [letter] = [one for one in evidence.queues if one.place == "letters"]
    return replace(evidence, queues=[letter, replace(letter, letter="another", generation=5)])


@breaks("I13")
def an_attempt_had_another_key(evidence: Evidence) -> Evidence:
    run = entries(evidence, op="handler", type="invoke", record="parcels:b", worker="post.send")[0]
    own = next(one for one in evidence.effects if (one.record, one.worker) == ("parcels:b", "post.send"))
    assert run.detail["key"] == own.key
    return changed(evidence, run, detail={"key": "another"})


@breaks("I14")
def a_committed_step_did_nothing(evidence: Evidence) -> Evidence:
    gone = ("parcels:a", "post.send")
    return replace(evidence, effects=[one for one in evidence.effects if (one.record, one.worker) != gone])


@breaks("I14")
def something_was_done_without_a_grant(evidence: Evidence) -> Evidence:
    return replace(evidence, effects=[*evidence.effects, replace(evidence.effects[0], token=97)])


# I15, I16, I17


@breaks("I15")
def a_run_is_listed_as_something_else(evidence: Evidence) -> Evidence:
    return replace(evidence, listed={**(evidence.listed or {}), "parcels:a": "running"})


@breaks("I15")
def a_read_went_back(evidence: Evidence) -> Evidence:
    told = {"phase": "completed", "started_at": 1, "seq": 9, "commits": 2, "tokens": 2, "committed": []}
    invoked = Entry(at=0, process="reader", seq=1, type="invoke", op="read", record="parcels:d")
    seen = replace(invoked, seq=2, type="ok", of=1, answer="Record", detail=told)
    less = {**told, "phase": "running", "seq": 8}
    again = replace(invoked, seq=3), replace(seen, seq=4, of=3, detail=less)
    reader = [replace(one, at=evidence.history[0].at) for one in (invoked, seen, *again)]
    return added(evidence, *reader, before=evidence.history[0])


@breaks("I16")
def a_lease_is_counted_that_nobody_holds(evidence: Evidence) -> Evidence:
    evidence, record = of_record(evidence, "a")
    record.head.leases = 1
    return evidence


@breaks("I16")
def a_key_is_left(evidence: Evidence) -> Evidence:
    return replace(evidence, remains=["the key pavane:{s01}:run:x has no owner"])


@breaks("I16")
def a_secret_was_logged(evidence: Evidence) -> Evidence:
    return replace(evidence, secrets=["hunter2"], logs=[Logged(text="connecting as app:hunter2")])


@breaks("I16")
def a_handler_outlived_its_process(evidence: Evidence) -> Evidence:
    run = ended(evidence, "a", "send", "handler", "invoke")
    stop = Entry(at=run.at, process=run.process, seq=2, type="ok", op="process", detail={"what": "stopped"})
    return added(evidence, replace(run, seq=1, at=run.at), stop)


@breaks("I17")
def nothing_went_on_after_a_fault(evidence: Evidence) -> Evidence:
    start = entries(evidence, op="start", type="invoke", record="parcels:d")[0]
    fault = Entry(at=start.at, process="nemesis", seq=1, type="invoke", op="nemesis", detail={"what": "kill"})
    evidence = added(evidence, fault, replace(fault, seq=2, type="ok", of=1), before=start)
    accepted = entries(evidence, op="start", type="ok", record="parcels:d")[0]
    place = evidence.history.index(accepted) + 1
    late = tuple(replace(one, at=one.at + 30 * SECOND) for one in evidence.history[place:])
    return replace(evidence, history=(*evidence.history[:place], *late))
