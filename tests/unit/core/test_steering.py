"""What people do to a run: the first ending wins, every fact has an actor, and the same again changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from pavane.core import agenda, identity, letters, pausing, skipping, steering
from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.kept import JOINED
from pavane.core.outbox import FIRST_TRY
from pavane.core.record import EventRow, History
from tests.unit.core.world import CONTRACT, LEASE, NOW, RUN, UNDO, World, event, started

JOB = "shop.order:start"
T = TypeVar("T")


def cancel(world: World, request: str = "r1", *, undo: bool = True) -> a.ActionAnswer:
    call = c.Cancel(record=RUN, request=request, undo=undo, by="operator-1", reason="wrong order")
    return world.apply(steering.cancel, call)


def compensate(world: World, request: str = "r1") -> a.ActionAnswer:
    call = c.Compensate(record=RUN, request=request, by="operator-1", reason="given up")
    return world.apply(steering.compensate, call)


def pause(world: World) -> a.ActionAnswer:
    return world.apply(pausing.pause, c.Pause(record=RUN, by="operator-1", reason="bank is down"))


def resume(world: World) -> a.ActionAnswer:
    return world.apply(pausing.resume, c.Resume(record=RUN, by="operator-2"))


def hold(world: World, step: str, generation: int = 0) -> a.HoldAnswer:
    worker, _, id_ = step.partition(":")
    call = c.Hold(record=RUN, step=step, worker=worker, event=event(id_), generation=generation)
    return world.apply(pausing.hold, call)


def skip(world: World, step: str, name: str = "order.skipped") -> a.ActionAnswer:
    id_ = identity.skipped_id(RUN, step, name, b"{}")
    call = c.Skip(record=RUN, step=step, event=event(id_, name), by="operator-1", reason="by hand")
    return world.apply(skipping.skip, call)


def last(world: World, kind: str) -> History:
    return [line for line in world.live.history if line.kind == kind][-1]


def test_a_cancelled_run_undoes_what_was_done_and_ends_as_cancelled() -> None:
    world = started()
    world.done(JOB, "order.done", compensation=UNDO)
    answer = cancel(world)
    assert isinstance(answer, a.Done)
    assert [row.row for row in answer.rows] == [f"undo/{JOB}"]
    asked = last(world, "cancel_requested")
    assert (asked.by, asked.reason, asked.detail) == ("operator-1", "wrong order", (("undo", "true"),))
    assert dict(last(world, "compensation_started").detail) == {"why": "wrong order"}
    assert world.live.head.reason == "cancelled"
    world.undo(JOB)
    assert world.live.head.phase == "cancelled"
    assert isinstance(cancel(world, "r2"), a.Done)
    assert world.kinds().count("cancel_requested") == 1


def test_a_run_that_is_cancelled_without_undo_waits_for_its_leases_and_lists_what_is_left() -> None:
    world = started()
    world.done(JOB, "order.done", compensation=UNDO)
    token = world.granted("shop.pay:start", compensation=UNDO).token
    cancel(world, undo=False)
    assert agenda.status_of(world.live) == "compensating"
    assert isinstance(world.commit("shop.pay:start", token, "order.paid"), a.Late)
    assert world.live.head.phase == "cancelled"
    assert dict(last(world, "cancelled").detail) == {"left": f"shop.pay:start {JOB}", "left_count": "2"}
    assert [row.state for row in world.live.steps.values()] == ["committed", "committed"]


def test_the_end_of_a_failed_run_names_the_steps_that_nobody_undoes() -> None:
    world = started()
    world.done("shop.plan:start", "order.planned")
    world.done(JOB, "order.done", compensation=UNDO)
    world.kill("shop.pay:start")
    compensate(world)
    world.undo(JOB)
    assert world.live.head.phase == "compensated"
    told = {"not_undone": "shop.plan:start shop.pay:start", "not_undone_count": "2"}
    assert dict(last(world, "compensated").detail) == told


def test_a_cancel_that_comes_too_late_is_a_line_once_for_each_request() -> None:
    world = started()
    world.emit(event("end", "order.confirmed"))
    for request in ("r1", "r1", "r2"):
        assert cancel(world, request) == a.Refused(reason="run_completed")
    assert compensate(world, "r3") == a.Refused(reason="run_completed")
    lines = [line for line in world.live.history if line.kind == "cancel_requested"]
    assert [dict(line.detail)["asked"] for line in lines] == ["cancel", "cancel", "compensate"]
    assert world.live.head.phase == "completed"


def test_an_operator_gives_a_stalled_run_up() -> None:
    world = started()
    world.done(JOB, "order.done", compensation=UNDO)
    world.kill("shop.pay:start")
    assert isinstance(compensate(world), a.Done)
    assert (world.live.head.reason, world.live.head.stalled) == ("operator", [])
    assert cancel(world, "r2") == a.Refused(reason="run_compensating")
    world.undo(JOB)
    assert world.live.head.phase == "compensated"
    assert isinstance(compensate(world, "r3"), a.Done)


def test_a_paused_run_begins_nothing_and_holds_what_comes() -> None:
    world = started()
    token = world.granted(JOB).token
    assert pause(world) == pause(world) == a.Done()
    assert world.kinds().count("paused") == 1
    assert agenda.status_of(world.live) == "paused"
    assert world.begin("shop.pay:start") == a.Paused(since=NOW)
    assert hold(world, "shop.pay:start") == hold(world, "shop.pay:start") == a.Held()
    assert isinstance(world.commit(JOB, token, "order.done"), a.Committed)
    hold(world, "shop.ship:start")
    answer = resume(world)
    assert isinstance(answer, a.Done)
    released = [(row.kind, row.step) for row in answer.rows if row.row.startswith("held/")]
    assert released == [("job", "shop.pay:start"), ("job", "shop.ship:start")]
    assert (last(world, "resumed").by, world.live.held) == ("operator-2", {})
    assert hold(world, "shop.pay:start") == a.NotPaused()
    assert isinstance(world.begin("shop.pay:start"), a.Granted)


def test_many_held_jobs_are_released_in_chunks() -> None:
    world = started()
    pause(world)
    for number in range(150):
        hold(world, f"shop.w{number}:start")
    answer = resume(world)
    assert isinstance(answer, a.Done)
    assert len(world.live.held) == 50
    assert agenda.due_at(world.live) == NOW + pausing.RELEASE_EVERY
    world.mark(*[row.row for row in answer.rows])
    world.pass_time(pausing.RELEASE_EVERY)
    assert [row.step for row in world.review().rows] == [
        f"shop.w{number}:start" for number in range(100, 150)
    ]
    assert (world.live.held, world.live.head.release_at) == ({}, 0)


def test_the_relay_keeps_the_order_of_released_jobs_that_nobody_published() -> None:
    world = started()
    pause(world)
    steps = [f"shop.w{number}:start" for number in range(12)]
    for step in steps:
        hold(world, step)
    resume(world)
    world.pass_time(FIRST_TRY)
    assert [row.step for row in world.review().rows if row.kind == "job"] == steps


def test_a_mark_of_an_earlier_release_does_not_take_a_later_one_away() -> None:
    world = started()
    for _ in range(2):
        pause(world)
        hold(world, JOB)
        resume(world)
    world.mark("held/000000001")
    assert "held/000000002" in world.live.outbox


def test_cancel_ends_a_pause_and_a_deadline_does_not() -> None:
    cancelled, late = started(), started(contract=replace(CONTRACT, deadline=1_000))
    for world in (cancelled, late):
        world.done(JOB, "order.done", compensation=UNDO)
        pause(world)
    cancel(cancelled)
    assert (cancelled.live.head.paused_at, last(cancelled, "resumed").reason) == (0, "cancelled")
    late.pass_time(1_000)
    late.review()
    assert late.live.head.phase == "compensating"
    assert late.begin(JOB, kind="undo") == a.Paused(since=NOW)
    assert "deadline_passed" in late.kinds()


def test_a_skipped_step_is_closed_with_its_letter_and_undone_as_unknown() -> None:
    world = started()
    world.kill(JOB, compensation=UNDO)
    world.done("shop.pay:start", "order.paid", compensation=UNDO)
    assert isinstance(skip(world, JOB), a.Done)
    assert (world.row(JOB).state, world.live.letters, world.live.head.stalled) == ("skipped", {}, [])
    assert last(world, "step_skipped").by == "operator-1"
    assert isinstance(skip(world, JOB), a.Done)
    assert skip(world, JOB, "another") == a.Refused(reason="step_skipped")
    assert isinstance(world.begin(JOB), a.Committed)
    assert world.redrive(JOB, generation=1).outcome == "gone"
    cancel(world)
    assert world.live.undo == [JOB, "shop.pay:start"]
    granted = world.granted(JOB, kind="undo")
    assert (granted.unknown, granted.result) == (True, None)


def test_a_step_that_runs_is_not_skipped_before_its_lease_is_over() -> None:
    world = started()
    token = world.granted(JOB).token
    assert skip(world, JOB) == a.Refused(reason="step_running")
    assert skip(world, "shop.other:start") == a.Refused(reason="unknown_step")
    world.pass_time(LEASE + 1)
    assert isinstance(skip(world, JOB), a.Done)
    assert world.commit(JOB, token, "order.done") == a.Fenced()


def test_a_deadline_moves_ahead_only() -> None:
    world = started()

    def move(at: int) -> a.ActionAnswer:
        return world.apply(steering.move_deadline, c.MoveDeadline(record=RUN, at=at, by="operator-1"))

    assert move(NOW) == a.Refused(reason="in_the_past")
    assert move(NOW + 5) == move(NOW + 5) == a.Done()
    assert world.kinds().count("deadline_moved") == 1
    assert dict(last(world, "deadline_moved").detail) == {"at": str(NOW + 5), "before": ""}
    cancel(world)
    assert move(NOW + 9) == a.Refused(reason="run_cancelled")


def spec(delivered: EventRow) -> c.JoinSpec:
    own = event("joined", JOINED)
    return c.JoinSpec(event=replace(own, causation=delivered.id), names=("flight", "hotel"))


def test_a_join_fires_once_when_the_last_of_its_events_has_arrived() -> None:
    world = started()
    both = "trip.both:"
    arrivals = [
        world.begin(both + name, join=spec(event(name))) for name in ("hotel", "hotel", "flight", "flight")
    ]
    rows = [[row.row for row in answer.rows] for answer in arrivals if isinstance(answer, a.Recorded)]
    assert rows == [[], [], [f"job/{both}joined"], [f"job/{both}joined"]]
    assert world.kinds().count("gathered") == 1
    granted = world.granted(both + "joined", event=event("joined", JOINED), join=spec(event("joined")))
    assert [each.name for each in granted.joined] == ["flight", "hotel"]


def test_an_arrival_fences_the_holder_that_began_it_before_its_worker_joined_events() -> None:
    world = started()
    token = world.granted("trip.both:hotel").token
    world.pass_time(LEASE)
    answer = world.begin("trip.both:hotel", join=spec(event("hotel")))
    assert isinstance(answer, a.Recorded)
    assert world.live.head.leases == 0
    assert world.commit("trip.both:hotel", token, "trip.booked") == a.Fenced()


def test_a_failing_run_never_fires_a_join() -> None:
    world = started()
    world.granted(JOB)
    world.begin("trip.both:hotel", join=spec(event("hotel")))
    assert world.begin("trip.both:joined", join=spec(event("joined"))) == a.Refused(reason="join_open")
    cancel(world)
    refused = world.begin("trip.both:flight", join=spec(event("flight")))
    assert refused == a.Refused(reason="run_compensating")
    assert world.live.joins == {}


def test_undo_side_by_side_waits_only_for_what_a_step_caused() -> None:
    world = started(contract=replace(CONTRACT, undo="parallel"))
    caused = "shop.seat:shop.flight:start/flight"
    world.done("shop.flight:start", "flight", compensation=UNDO)
    world.done("shop.hotel:start", "hotel", compensation=UNDO)
    world.done(caused, "seat", compensation=UNDO)
    answer = cancel(world)
    assert isinstance(answer, a.Done)
    assert [row.step for row in answer.rows if row.kind == "undo"] == [caused, "shop.hotel:start"]
    world.kill("shop.hotel:start", kind="undo")
    world.undo(caused)
    assert world.row("shop.flight:start").state == "undoing"
    world.undo("shop.flight:start")
    assert (world.live.head.phase, world.live.undo) == ("compensating", ["shop.hotel:start"])
    world.redrive("shop.hotel:start", "undo")
    token = world.granted("shop.hotel:start", kind="undo", generation=2).token
    world.commit_undo("shop.hotel:start", token)
    assert world.live.head.phase == "cancelled"


def test_the_job_of_a_join_that_comes_too_early_does_not_refuse_the_true_one() -> None:
    world = started()
    both, own = "trip.both:", event("joined", JOINED)
    assert world.begin(both + "joined", event=own, join=spec(own)) == a.Refused(reason="join_open")
    for name in ("flight", "hotel"):
        world.begin(both + name, join=spec(event(name)))
    assert isinstance(world.begin(both + "joined", event=own, join=spec(own)), a.Granted)


def test_a_join_that_waits_for_less_since_a_deployment_fires_with_the_next_arrival() -> None:
    world = started()
    three = replace(spec(event("hotel")), names=("flight", "hotel", "car"))
    world.begin("trip.both:car", join=replace(three, names=("car", "flight", "hotel")))
    world.begin("trip.both:hotel", join=three)
    world.begin("trip.both:flight", join=spec(event("flight")))  # the car is not asked for any more
    assert world.live.joins["trip.both"].fired
    own = event("joined", JOINED)
    granted = world.granted("trip.both:joined", event=own, join=spec(own))
    assert [one.name for one in granted.joined] == ["flight", "hotel"]


def test_a_run_failed_by_an_event_named_operator_was_given_up_by_nobody() -> None:
    world = started(contract=replace(CONTRACT, fails=("operator",)))
    world.done("shop.order:start", "operator")
    assert isinstance(compensate(world), a.Refused)


def test_a_resent_resume_says_again_what_was_released() -> None:
    world = started()
    pause(world)
    hold(world, "shop.pay:start")
    first, again = resume(world), resume(world)
    assert isinstance(first, a.Done)
    assert isinstance(again, a.Done)
    assert first.rows
    assert set(first.rows) <= set(again.rows)


def test_an_undo_without_a_queue_is_listed_until_it_is_published() -> None:
    world = started()
    world.done("s.one:start", "one.done", compensation=UNDO)
    cancel(world)
    world.apply(letters.mark, c.Mark(record=RUN, returned=("undo/s.one:start",)))
    assert world.live.head.stalled == ["no_queue:s.one"]
    world.apply(letters.mark, c.Mark(record=RUN, rows=("undo/s.one:start",)))
    assert world.live.head.stalled == []


def test_a_job_without_a_queue_is_listed_too() -> None:
    world = started()
    for name in ("flight", "hotel"):
        world.begin(f"trip.both:{name}", join=spec(event(name)))
    [job] = [row for row in world.live.outbox.values() if row.kind == "job"]
    world.apply(letters.mark, c.Mark(record=RUN, returned=(job.id,)))
    assert world.live.head.stalled == ["no_queue:trip.both"]


def test_an_event_that_a_stranger_sent_before_it_was_emitted_makes_no_circle() -> None:
    world = started(contract=replace(CONTRACT, undo="parallel"))
    world.done("s.b:x", "y", compensation=UNDO)
    [emitted] = world.row("s.b:x").emitted
    world.done(f"s.t:{emitted}", "z", compensation=UNDO)
    world.live.steps[f"s.t:{emitted}"].emitted[:] = ["x"]
    answer = cancel(world)
    assert isinstance(answer, a.Done)
    assert [row.step for row in answer.rows if row.kind == "undo"] == [f"s.t:{emitted}"]
