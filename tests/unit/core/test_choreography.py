"""What is a finding and what is none, decided over plain values."""

from __future__ import annotations

from typing import Any

import pytest

from pavane import DefinitionError, RetryPolicy
from pavane.core.choreography import Accepted, Contract, Finding, Payload, Program, Undeclared, Worker
from pavane.core.choreography_findings import findings_of, is_ok, matching_nothing
from pavane.core.choreography_work import CONSUMER_TIMEOUT_MS, retries_ms
from pavane.model.source import Place

HOUR = 3_600_000


def worker(name: str, hears: str, results: str = "", **more: Any) -> Worker:
    """A worker of service `s`; events are separated by blanks, and what it returns it sends at once."""
    more.setdefault("at_once", tuple(results.split()))
    for several in ("extras", "answers", "at_once"):
        more[several] = tuple(
            more[several].split() if isinstance(more.get(several), str) else more.get(several, ())
        )
    return Worker(name=f"s.{name}", hears=tuple(hears.split()), results=tuple(results.split()), **more)


def flow(fails: str = "", deadline_ms: int | None = None, completes: str = "done") -> Contract:
    """A workflow from `begun` to `done`."""
    return Contract(
        name="flow",
        starts_with="begun",
        completes_with=tuple(completes.split()),
        fails_with=tuple(fails.split()),
        deadline_ms=deadline_ms,
        place=Place("flow.py", 1),
    )


def found(*workers: Worker, workflow: Contract | None = None, outside: str = "") -> list[tuple[str, str]]:
    return [(one.code, one.subject) for one in findings(*workers, workflow=workflow, outside=outside)]


def findings(*workers: Worker, workflow: Contract | None = None, outside: str = "") -> tuple[Finding, ...]:
    program = Program(
        name="p", workers=workers, workflows=(workflow or flow(),), outside=tuple(outside.split())
    )
    return findings_of([program])


def test_a_way_from_start_to_end_has_no_findings() -> None:
    assert found(worker("a", "begun", "middle"), worker("b", "middle", "done")) == []


def test_what_one_program_sends_another_hears() -> None:
    one = Program(name="one", workers=(worker("a", "begun", "middle"),), workflows=(flow(),))
    two = Program(name="two", workers=(worker("b", "middle", "done"),), workflows=(flow(),))
    assert findings_of([one, two]) == ()
    assert {finding.code for finding in findings_of([one])} == {"endless_workflow", "orphan_event"}
    assert findings_of([one, two, one]) == ()


# orphan_event, unreachable_worker


def test_an_event_is_heard_if_it_ends_or_starts_a_workflow() -> None:
    other = Contract(name="other", starts_with="next", completes_with=("done",))
    program = Program(
        name="p", workers=(worker("a", "begun", "done", extras="next"),), workflows=(flow(), other)
    )
    # Nobody takes `next`, but that is a matter of the workflow that it starts.
    assert [(one.code, one.subject) for one in findings_of([program])] == [("endless_workflow", "other")]


def test_an_event_from_outside_reaches_its_worker_and_is_an_orphan_without_one() -> None:
    end = worker("a", "begun", "done")
    assert found(end, worker("b", "news")) == [("unreachable_worker", "s.b")]
    assert found(end, worker("b", "news"), outside="news") == []
    assert found(end, outside="news") == [("orphan_event", "news")]


def test_pavanes_own_events_need_no_sender() -> None:
    assert found(worker("a", "begun", "done"), worker("b", "pavane.run_ended")) == []


def test_workers_that_only_reach_each_other_are_all_unreachable() -> None:
    ring = (worker("b", "x", "y"), worker("c", "y", "x"))
    assert found(worker("a", "begun", "done"), *ring) == [
        ("unreachable_worker", "s.b"),
        ("unreachable_worker", "s.c"),
    ]


def test_one_of_several_events_that_nobody_sends_is_an_orphan() -> None:
    workers = (worker("a", "begun", "middle"), worker("b", "middle never", "done"))
    [finding] = findings(*workers)
    assert (finding.code, finding.subject, finding.severity) == ("orphan_event", "never", "warning")
    assert "s.b hears it" in finding.message


def test_an_ending_that_nobody_sends_is_an_orphan() -> None:
    way = worker("a", "begun", "done")
    assert found(way, workflow=flow(fails="broken")) == [("orphan_event", "broken")]
    assert found(way, workflow=flow(completes="done settled")) == [("orphan_event", "settled")]
    assert found(way, workflow=flow(fails="broken"), outside="broken") == []


# endless_workflow


def test_a_run_that_cannot_complete_is_an_error_even_with_a_deadline() -> None:
    [finding, *_] = findings(worker("a", "begun", "broken"), workflow=flow("broken", deadline_ms=HOUR))
    assert (finding.code, finding.severity, finding.place) == (
        "endless_workflow",
        "error",
        Place("flow.py", 1),
    )


@pytest.mark.parametrize(("deadline_ms", "severity"), [(None, "error"), (HOUR, "warning")])
def test_a_result_after_which_nothing_goes_on_is_worse_without_deadline(
    deadline_ms: int | None, severity: str
) -> None:
    workers = (worker("a", "begun", "done stopped"), worker("b", "stopped"))
    [finding] = findings(*workers, workflow=flow(deadline_ms=deadline_ms))
    assert (finding.code, finding.severity) == ("endless_workflow", severity)
    assert "After stopped" in finding.message
    assert "s.a" in finding.message


def test_the_event_is_named_where_the_way_ends_and_not_before() -> None:
    workers = (worker("a", "begun", "x y"), worker("b", "x", "done"), worker("c", "y", "z"), worker("d", "z"))
    [finding] = findings(*workers)
    assert "After y" in finding.message


def test_what_an_exhausted_job_answers_has_to_lead_on_as_well() -> None:
    given_up = worker("a", "begun", "done", answers="given_up")
    assert found(given_up, worker("b", "given_up")) == [("endless_workflow", "flow")]
    assert found(given_up, worker("b", "given_up", "done")) == []
    assert found(given_up, worker("b", "given_up"), workflow=flow("given_up")) == []


def test_a_side_branch_may_end_anywhere() -> None:
    way = (worker("a", "begun", "middle"), worker("b", "middle", "done"))
    assert found(*way, worker("c", "middle", "noted"), worker("d", "noted")) == []


def test_a_branch_that_another_makes_up_for_is_none() -> None:
    way = (worker("a", "begun", "middle"), worker("b", "middle", "done"))
    assert found(*way, worker("c", "middle", "done noted"), worker("d", "noted")) == []


def test_an_event_sent_beside_the_result_may_be_what_leads_on() -> None:
    assert found(worker("a", "begun", "noted", extras="done"), worker("b", "noted")) == []


def test_a_cycle_with_a_way_out_is_not_endless() -> None:
    workers = (worker("a", "begun again", "pending done"), worker("b", "pending", extras="again"))
    assert found(*workers) == []


def test_a_run_that_waits_for_an_event_from_outside_is_not_endless() -> None:
    workers = (worker("a", "begun", "sent"), worker("b", "sent"))
    assert ("endless_workflow", "flow") in found(*workers)
    assert found(*workers, outside="done") == []
    assert found(*workers, worker("c", "paid", "done"), outside="paid") == []
    stops = (worker("a", "begun", "sent done"), worker("b", "sent"))
    assert found(*stops) == [("endless_workflow", "flow")]
    assert found(*stops, worker("c", "paid", "done"), outside="paid") == []


def test_an_event_that_starts_another_run_leaves_this_one() -> None:
    other = Contract(name="other", starts_with="next", completes_with=("done",))
    workers = (worker("a", "begun", "next"), worker("b", "next", "done"))
    program = Program(name="p", workers=workers, workflows=(flow(), other))
    assert [(one.code, one.subject) for one in findings_of([program])] == [("endless_workflow", "flow")]


def test_what_follows_an_ending_leads_nowhere() -> None:
    closing = (worker("a", "begun", "broken"), worker("b", "broken", "done"))
    assert ("endless_workflow", "flow") in found(*closing, workflow=flow("broken"))


# cycle_without_timer


def test_a_cycle_is_told_once_with_its_shortest_way() -> None:
    workers = (
        worker("a", "begun z", "x done"),
        worker("b", "x", "y"),
        worker("c", "y", "z"),
    )
    [finding] = findings(*workers)
    assert (finding.code, finding.subject) == ("cycle_without_timer", "s.a")
    assert "s.a → x → s.b → y → s.c → z → s.a" in finding.message


def test_a_cycle_with_a_timer_on_the_way_is_none() -> None:
    later = worker("a", "begun again", "done", extras="again")
    assert found(later) == []
    assert found(worker("a", "begun again", "done", extras="again", at_once="done again")) == [
        ("cycle_without_timer", "s.a")
    ]


# missing_undo


def acting(**more: Any) -> tuple[Worker, Worker]:
    return worker("a", "begun", "middle", has_effect=True, **more), worker("b", "middle", "done broken")


def test_an_effect_needs_an_undo_where_the_run_can_fail() -> None:
    assert found(*acting(), workflow=flow("broken")) == [("missing_undo", "s.a")]
    assert found(*acting(has_undo=True), workflow=flow("broken")) == []
    assert found(acting()[0], worker("b", "middle", "done"), workflow=flow(deadline_ms=HOUR)) == [
        ("missing_undo", "s.a")
    ]
    assert found(acting()[0], worker("b", "middle", "done", compensates=True)) == [("missing_undo", "s.a")]
    assert found(acting()[0], worker("b", "middle", "done")) == []


def test_closing_steps_and_the_step_that_ends_the_run_need_no_undo() -> None:
    workers = (worker("a", "begun", "done broken", has_effect=True), worker("b", "done", has_effect=True))
    assert found(*workers, workflow=flow("broken")) == []


# the numbers


def test_retries_longer_than_the_run_or_the_step_may_last() -> None:
    slow = worker("a", "begun", "done", retries_ms=HOUR)
    assert found(slow) == []
    assert found(slow, workflow=flow(deadline_ms=HOUR)) == [("retry_exceeds_deadline", "s.a")]
    assert found(slow, workflow=flow(deadline_ms=HOUR + 1)) == []
    assert found(worker("a", "begun", "done", retries_ms=HOUR, step_timeout_ms=1000)) == [
        ("retry_exceeds_deadline", "s.a")
    ]


def test_the_time_of_all_retries() -> None:
    assert retries_ms(RetryPolicy(jitter=0), 1) == 0
    assert retries_ms(RetryPolicy(jitter=0), 5) == 5000 + 10000 + 20000 + 40000
    assert retries_ms(RetryPolicy(jitter_mode="full"), 3) == 2500 + 5000
    assert retries_ms(RetryPolicy(initial_delay=1, max_delay=1, jitter=0), 1_000_001) == 1_000_000_000


@pytest.mark.parametrize("what", ["lease_ms", "timeout_ms", "undo_timeout_ms"])
def test_what_holds_a_message_longer_than_rabbitmq_allows(what: str) -> None:
    assert found(worker("a", "begun", "done", **{what: CONSUMER_TIMEOUT_MS})) == []
    assert found(worker("a", "begun", "done", **{what: CONSUMER_TIMEOUT_MS + 1})) == [
        ("lease_exceeds_consumer_timeout", "s.a")
    ]


def test_an_undeclared_event_points_to_the_call() -> None:
    there = Place("handler.py", 7)
    [finding] = findings(worker("a", "begun", "done", undeclared=(Undeclared(event="x", place=there),)))
    assert (finding.code, finding.severity, finding.place) == ("undeclared_event", "error", there)


# schema_mismatch


def between(
    written: Payload, read: Payload, hears: str = "middle", workflow: Contract | None = None
) -> list[str]:
    sender = Program(
        name="one", workers=(worker("a", "begun", "middle"),), workflows=(flow(),), payloads=(written,)
    )
    receiver = Program(
        name="two",
        workers=(worker("b", hears, "done"),),
        workflows=(workflow or flow(),),
        payloads=(read,),
    )
    return [one.message for one in findings_of([sender, receiver]) if one.code == "schema_mismatch"]


def payload(version: int = 1, reads: tuple[int, ...] = (), **schema: Any) -> Payload:
    return Payload(event="middle", version=version, reads=reads or (version,), schema=schema or None)


def test_versions_that_the_reader_takes_or_does_not() -> None:
    assert between(payload(1), payload(1)) == []
    assert between(payload(1), payload(2, reads=(1, 2))) == []
    assert "newer" in between(payload(2), payload(1))[0]
    assert "no upcaster" in between(payload(1), payload(2))[0]


def test_a_reader_may_know_less_and_not_more_than_is_written() -> None:
    number = {"n": {"type": "integer"}}
    both = payload(type="object", properties={**number, "m": {"type": "string"}}, required=["n", "m"])
    one = payload(type="object", properties=number, required=["n"])
    assert between(both, one) == []
    assert "m (required_field_added)" in between(one, both)[0]
    text = payload(type="object", properties={"n": {"type": "string"}}, required=["n"])
    assert "n (type_changed)" in between(one, text)[0]


def test_what_has_a_default_is_always_written() -> None:
    may = payload(type="object", properties={"n": {"type": "integer", "default": 1}})
    must = payload(type="object", properties={"n": {"type": "integer"}}, required=["n"])
    assert between(may, must) == []


def test_two_contracts_of_one_workflow() -> None:
    assert between(payload(), payload(), workflow=flow(fails="broken")) == [
        "one and two load different contracts of it."
    ]


# what cannot run together


def refused(*programs: Program) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        findings_of(programs)
    return [problem.code for problem in caught.value.problems]


def test_programs_that_contradict_each_other_are_refused() -> None:
    one = Program(
        name="one", workers=(worker("a", "begun", "done", place=Place("one.py", 1)),), workflows=(flow(),)
    )
    same = Program(
        name="two", workers=(worker("a", "begun", "done", place=Place("two.py", 1)),), workflows=(flow(),)
    )
    assert refused(one, same) == ["duplicate_worker"]
    unaware = Program(name="two", workers=(worker("b", "begun"),))
    assert refused(one, unaware) == ["workflow_not_loaded"]
    other = Contract(name="other", starts_with="begun", completes_with=("done",))
    assert refused(one, Program(name="two", workflows=(other,))) == ["start_event_shared"]


# what is accepted


def test_what_is_accepted_says_why_and_is_no_reason_to_fail() -> None:
    accepted = (
        Accepted(code="orphan_event", subject="noted", reason="for the archive"),
        Accepted(code="orphan_event", subject="gone", reason="once"),
    )
    program = Program(
        name="p",
        workers=(worker("a", "begun", "done", extras="noted other"),),
        workflows=(flow(),),
        accepted=accepted,
    )
    found = findings_of([program])
    assert [(one.subject, one.allowed) for one in found] == [("noted", "for the archive"), ("other", None)]
    assert matching_nothing(accepted, found) == accepted[1:]
    assert is_ok(found, strict=False)
    assert not is_ok(found, strict=True)
    assert is_ok(found[:1], strict=True)


def test_errors_come_first() -> None:
    found = findings(worker("a", "begun", "done", extras="noted"), worker("b", "never"))
    assert [one.severity for one in found] == ["error", "warning"]
    assert not is_ok(found, strict=False)
