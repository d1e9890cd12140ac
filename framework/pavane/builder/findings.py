"""Collects what is wrong with one definition, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pavane.errors import DefinitionError, Problem
from pavane.model.duration import Duration
from pavane.model.names import name_problem
from pavane.model.policies import RetryPolicy
from pavane.model.source import Place


class Findings:
    """The problems of one subject; `place` is where a problem points that names no better one."""

    def __init__(self, subject: str, place: Place, problems: Iterable[Problem] = ()) -> None:
        self.subject = subject
        self.place = place
        self.problems = list(problems)

    def add(self, code: str, message: str, *, remedy: str = "", place: Place | None = None) -> None:
        at = place or self.place
        self.problems.append(
            Problem(
                code=code,
                message=message,
                subject=self.subject,
                file=at.file,
                line=at.line,
                remedy=remedy,
            )
        )

    def duration(self, what: str, duration: Duration, convert: Callable[[Duration], int]) -> int:
        """`duration` as `convert` has it; 1 after a problem, as nothing is built from it then."""
        try:
            return convert(duration)
        except ValueError as error:
            self.add("bad_value", f"{what}: {error}.")
            return 1

    def whole(self, what: str, number: object) -> None:
        """Demand a whole number from 1."""
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            self.add("bad_value", f"{what}: a whole number from 1 is needed, not {number!r}.")

    def limit_name(self, name: object) -> str:
        """The name of a shared limit; empty if none is given."""
        if name is None:
            return ""
        problem = name_problem(name)
        if problem:
            self.add("bad_name", problem)
        return str(name)

    def policy(self, policy: Any, fields: Mapping[str, Any]) -> RetryPolicy:
        """`policy` if given, else one of `fields`; the default one after a problem."""
        if policy is not None and not isinstance(policy, RetryPolicy):
            self.add("bad_value", f"a RetryPolicy is needed, not {policy!r}.")
        if isinstance(policy, RetryPolicy):
            return policy
        try:
            return RetryPolicy(**fields)
        except TypeError as error:
            self.add("bad_value", f".retry: {error}.")
        except DefinitionError as error:
            self.problems += [replace(one, subject=self.subject) for one in error.problems]
        return RetryPolicy()

    def raise_all(self) -> None:
        """Raise `DefinitionError` if anything was found."""
        if self.problems:
            raise DefinitionError(*self.problems)
