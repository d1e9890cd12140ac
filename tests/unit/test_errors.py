"""The tree of exceptions: names, codes, and what each carries."""

from __future__ import annotations

from datetime import timedelta

import pytest

import pavane
from pavane import errors

CODES = {
    errors.DefinitionError: "definition_error",
    errors.InvalidPayload: "invalid_payload",
    errors.NotInRun: "not_in_run",
    errors.UnauthorisedProducer: "unauthorised_producer",
    errors.UnknownRun: "unknown_run",
    errors.Undecodable: "undecodable",
    errors.TooLarge: "too_large",
    errors.StateLost: "state_lost",
}

TREE = {
    errors.UsageError: {"UndeclaredEvent", "LimitExceeded", "NotInRun"},
    errors.RunError: {"RunNotFound", "RunFailed", "IllegalMove", "ActionRefused"},
    errors.MessageError: {
        "Undecodable",
        "InvalidPayload",
        "TooLarge",
        "UnknownEvent",
        "UnknownRun",
        "UnauthorisedProducer",
    },
    errors.InfrastructureError: {
        "BrokerUnavailable",
        "StateUnavailable",
        "StateLost",
        "TopologyMismatch",
        "Overloaded",
    },
    errors.PavaneError: {
        "DefinitionError",
        "SettingsError",
        "UsageError",
        "RunError",
        "MessageError",
        "InfrastructureError",
    },
}


@pytest.mark.parametrize(("error", "code"), CODES.items())
def test_a_code_is_the_name_in_snake_case(error: type[errors.PavaneError], code: str) -> None:
    assert error.code == code


@pytest.mark.parametrize(("parent", "children"), TREE.items())
def test_the_tree_is_the_documented_one(parent: type[errors.PavaneError], children: set[str]) -> None:
    own = [child for child in parent.__subclasses__() if child.__module__ == errors.__name__]
    assert {child.__name__ for child in own} == children
    for child in children:
        assert getattr(pavane, child) is getattr(errors, child)


def test_what_a_handler_raises_to_steer_is_no_error_of_pavane() -> None:
    for steering in (errors.Retry, errors.NotNow, errors.Reject):
        assert not issubclass(steering, errors.PavaneError)
    assert errors.Retry("busy").after is None
    assert errors.Retry(after=timedelta(seconds=3)).after == timedelta(seconds=3)
    assert (errors.NotNow("limit", after=5).reason, errors.NotNow(after=5).after) == ("limit", 5)
    assert str(errors.Reject("no such order")) == "no such order"


def test_a_remedy_is_kept_beside_the_message() -> None:
    error = errors.UsageError("Too many.", remedy="Take fewer.")
    assert (str(error), error.remedy, error.code) == ("Too many.", "Take fewer.", "usage_error")


def test_errors_about_runs_name_them() -> None:
    error = errors.RunFailed("It was compensated.", run="orders:7", status="compensated")
    assert (error.run, error.status) == ("orders:7", "compensated")
    full = errors.Overloaded("Full.", worker="cards.charge", retry_after=2.5)
    assert (full.worker, full.retry_after) == ("cards.charge", 2.5)


def test_a_definition_error_shows_every_problem_with_its_place() -> None:
    one = errors.Problem(code="bad_name", message="no.", subject="a.b", file="x.py", line=3, remedy="Do.")
    two = errors.Problem(code="set_twice", message="twice.", subject="a.b")
    error = errors.DefinitionError(one, two)
    assert error.problems == (one, two)
    assert "[bad_name] a.b: no. (x.py:3) Do." in str(error)
    assert "[set_twice] a.b: twice." in str(error)
    assert errors.DefinitionError(one).remedy == "Do."
