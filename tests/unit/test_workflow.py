"""Workflow contracts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pavane import DefinitionError, Event, UsageError, Workflow
from pavane.model.workflow import workflows_started_by


class Begun(Event, name="test_workflow.begun"):
    key: str


class Done(Event, name="test_workflow.done"): ...


class Broken(Event, name="test_workflow.broken"): ...


class Nameless(Event): ...


def test_a_workflow_keeps_what_it_was_given() -> None:
    workflow = Workflow(
        "orders",
        "Orders",
        starts_with=Begun,
        completes_with=[Done],
        fails_with=(Broken,),
        deadline=timedelta(days=7),
        retention=60,
    )
    assert (workflow.name, workflow.description, workflow.starts_with) == ("orders", "Orders", Begun)
    assert (workflow.completes_with, workflow.fails_with) == ((Done,), (Broken,))
    assert (workflow.deadline_ms, workflow.retention_ms) == (7 * 86_400_000, 60_000)
    assert workflow.run_id_of(Begun(key="1"), "event-1") == "event-1"
    assert workflow in workflows_started_by(Begun)
    assert workflows_started_by(Done) == ()


def test_the_run_id_is_computed_from_the_event() -> None:
    workflow = Workflow("keyed", starts_with=Begun, run_id=lambda event: event.key, completes_with=[Done])
    assert workflow.run_id_of(Begun(key="10248"), "event-1") == "10248"


@pytest.mark.parametrize("key", ["", "a b", "a/b", "{a}", "x" * 10_000])
def test_a_run_id_that_cannot_be_one_is_the_callers_error(key: str) -> None:
    workflow = Workflow("keyed", starts_with=Begun, run_id=lambda event: event.key, completes_with=[Done])
    with pytest.raises(UsageError, match="no run id"):
        workflow.run_id_of(Begun(key=key), "event-1")


def test_a_run_id_function_that_fails_or_returns_no_text_is_named() -> None:
    failing: Any = Workflow("failing", starts_with=Begun, run_id=lambda event: 1 / 0, completes_with=[Done])  # type: ignore[arg-type, return-value]
    with pytest.raises(UsageError, match="failing raised ZeroDivisionError"):
        failing.run_id_of(Begun(key="1"), "event-1")
    number: Any = Workflow("number", starts_with=Begun, run_id=lambda event: 5, completes_with=[Done])  # type: ignore[arg-type, return-value]
    with pytest.raises(UsageError, match="no run id"):
        number.run_id_of(Begun(key="1"), "event-1")


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "Orders"}, "bad_name", "no name"),
    ({"completes_with": []}, "no_ending", "completes"),
    ({"starts_with": Nameless}, "unknown_event", "Nameless has no name"),
    ({"starts_with": int}, "bad_value", "no Event class"),
    ({"completes_with": Done()}, "bad_value", "no Event class"),
    ({"fails_with": [Nameless]}, "unknown_event", "fails_with"),
    ({"fails_with": [Done]}, "bad_value", "more than once"),
    ({"completes_with": [Begun]}, "bad_value", "starting event"),
    ({"deadline": -1}, "bad_value", "deadline"),
    ({"retention": 0}, "bad_value", "retention"),
    ({"states": {"open": {}}}, "bad_value", "states=: this version"),
    ({"attributes": {"amount": float}}, "bad_value", "attributes=: this version"),
    ({"undo": "backwards"}, "bad_value", "not 'backwards'"),
]


@pytest.mark.parametrize(("change", "code", "words"), WRONG)
def test_what_is_wrong_is_refused_with_code_and_place(change: dict[str, Any], code: str, words: str) -> None:
    arguments: dict[str, Any] = {"name": "wrong", "starts_with": Begun, "completes_with": [Done], **change}
    with pytest.raises(DefinitionError, match=words) as caught:
        Workflow(arguments.pop("name"), **arguments)
    assert [problem.code for problem in caught.value.problems] == [code]
    assert caught.value.problems[0].file == __file__


def test_all_that_is_wrong_is_told_together() -> None:
    with pytest.raises(DefinitionError) as caught:
        Workflow("Wrong", starts_with=Begun, deadline=float("nan"))
    assert {problem.code for problem in caught.value.problems} == {"bad_name", "no_ending", "bad_value"}


def test_a_refused_workflow_is_not_remembered() -> None:
    class Other(Event, name="test_workflow.other"): ...

    with pytest.raises(DefinitionError):
        Workflow("wrong", starts_with=Other)
    assert workflows_started_by(Other) == ()
