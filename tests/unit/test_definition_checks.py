"""Problems that only show when services and workflows are put together."""

from __future__ import annotations

from typing import Any

import pytest

from pavane import Context, Event, Service, Workflow
from pavane.builder.checks import check


class Begun(Event, name="test_checks.begun"): ...


class Done(Event, name="test_checks.done"): ...


class Unstarted(Event, name="test_checks.unstarted"): ...


async def take(ctx: Context, event: Unstarted) -> None: ...


async def take_start(ctx: Context, event: Begun) -> Done:
    return Done()


def service(name: str = "shop", worker: str = "sell", handler: Any = take) -> Service[None]:
    made = Service(name)
    made.queue_worker(worker).handler(handler)
    return made


def workflow(name: str = "orders") -> Workflow[Begun, Done]:
    return Workflow(name, starts_with=Begun, completes_with=[Done])


def found(*arguments: Any, **more: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.subject) for problem in check(*arguments, **more)]


def test_what_fits_together_has_no_problems() -> None:
    assert check([service("north"), service("south", handler=take_start)], [workflow()], [Unstarted]) == ()


def test_a_builder_without_handler_is_unfinished_and_points_to_its_line() -> None:
    shop = service()
    shop.queue_worker("forgotten").lease(5)
    (problem,) = check([shop])
    assert (problem.code, problem.subject, problem.file) == ("unfinished_worker", "shop.forgotten", __file__)
    assert problem.line
    assert ".handler" in problem.remedy


def test_a_name_that_two_workers_have_is_refused() -> None:
    shop = service()
    shop.queue_worker("sell").handler(take)
    assert found([shop]) == [("duplicate_worker", "shop.sell")]


def test_names_of_services_and_workflows_are_their_own() -> None:
    assert found([service(), service(worker="buy")]) == [("bad_name", "shop")]
    other = Workflow("orders", starts_with=Unstarted, completes_with=[Done])
    assert found([], [workflow(), other]) == [("bad_name", "orders")]


def test_an_event_starts_at_most_one_workflow() -> None:
    assert found([], [workflow(), workflow("other")]) == [("start_event_shared", "test_checks.begun")]


def test_a_subscriber_of_a_starting_event_needs_its_workflow() -> None:
    kept = workflow()
    (problem,) = check([service(handler=take_start)])
    assert (problem.code, problem.subject) == ("workflow_not_loaded", "shop.sell")
    assert kept.name in problem.message
    assert check([service(handler=take_start)], [kept]) == ()


def make_event() -> type[Event]:
    class Twice(Event, name="test_checks.twice"): ...

    return Twice


def test_an_event_has_one_class() -> None:
    old, new = make_event(), make_event()
    shop = Service("shop")
    shop.queue_worker("old").on(old).handler(lambda ctx, event: None)
    assert check([shop]) == ()
    assert found([shop], [], [new]) == [("duplicate_event", "test_checks.twice")]


def test_a_gap_between_upcasters_is_refused_with_the_missing_version() -> None:
    class Gap(Event, name="test_checks.gap", version=3): ...

    Gap.upcaster(from_version=1)(dict)
    (problem,) = check([], [], [Gap])
    assert (problem.code, problem.subject) == ("bad_value", "test_checks.gap")
    assert "from_version=2" in problem.remedy
    Gap.upcaster(from_version=2)(dict)
    assert check([], [], [Gap]) == ()


def test_an_event_from_outside_needs_a_name() -> None:
    class Base(Event): ...

    class OtherBase(Event): ...

    assert [code for code, _ in found([], [], [Base, OtherBase])] == ["unknown_event", "unknown_event"]


def test_all_problems_are_told_together() -> None:
    shop = service()
    shop.queue_worker("forgotten")
    problems = found([shop, service()], [workflow(), workflow("other")])
    assert {code for code, _ in problems} == {
        "bad_name",
        "unfinished_worker",
        "duplicate_worker",
        "start_event_shared",
    }


@pytest.mark.parametrize("name", ["north", "south"])
def test_a_service_may_be_used_under_two_names(name: str) -> None:
    assert check([service(name), service("east")]) == ()
