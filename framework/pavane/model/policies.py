"""How a failed attempt is followed by the next: `RetryPolicy`, and the ways others write it down."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self, get_args

from pavane.errors import DefinitionError, Problem
from pavane.model.duration import Duration, to_ms
from pavane.model.source import caller

JitterMode = Literal["factor", "full", "equal", "decorrelated", "none"]


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When a failed attempt is made again.

    After the n-th failed attempt `base = min(max_delay, initial_delay × multiplier^(n−1))`. The delay is
    drawn by `jitter_mode`: `factor` uniform(base, base × (1 + jitter)), `full` uniform(0, base), `equal`
    uniform(base/2, base), `decorrelated` min(max_delay, uniform(initial_delay, 3 × previous)), `none`
    base. It is rounded up to 250 ms, never early.

    Args:
        max_attempts: failed attempts, the first included, until the job is exhausted.
        initial_delay, max_delay: seconds or timedelta.
        multiplier: from one delay to the next, at least 1.
        jitter: for `factor`, the share of the delay that chance may add.
        on: only these exceptions are retried, every other is rejected at once; empty: all are retried.
        reject_on: these are rejected at once, whatever `on` says.

    Raises:
        DefinitionError: `bad_value` for each field that cannot be used.
    """

    max_attempts: int = 5
    initial_delay: Duration = 5.0
    max_delay: Duration = 60.0
    multiplier: float = 2.0
    jitter: float = 0.1
    jitter_mode: JitterMode = "factor"
    on: Sequence[type[Exception]] = ()
    reject_on: Sequence[type[Exception]] = ()

    def __post_init__(self) -> None:
        wrong = [*_wrong_numbers(self), *_wrong_exceptions("on", self.on)]
        wrong += _wrong_exceptions("reject_on", self.reject_on)
        if wrong:
            raise DefinitionError(*(_problem(message) for message in wrong))
        # A list would leave the policy changeable, and not hashable.
        object.__setattr__(self, "on", tuple(self.on))
        object.__setattr__(self, "reject_on", tuple(self.reject_on))

    @property
    def initial_delay_ms(self) -> int:
        return to_ms(self.initial_delay)

    @property
    def max_delay_ms(self) -> int:
        return to_ms(self.max_delay)

    def rejects(self, error: BaseException) -> bool:
        """Whether `error` makes the job a dead letter at once instead of another attempt."""
        if isinstance(error, tuple(self.reject_on)):
            return True
        return bool(self.on) and not isinstance(error, tuple(self.on))

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """A policy from a mapping in one of the spellings people already have.

        Takes the fields above; `initialDelayMs maxDelayMs multiplier jitterFactor maxAttempts`;
        `initialInterval maximumInterval backoffCoefficient maximumAttempts` (intervals as `"1s"`);
        `IntervalSeconds BackoffRate MaxAttempts` (counts retries: one attempt more). What is left out has
        the defaults above.

        Raises:
            DefinitionError: `bad_value` for each unknown key (with the builder call to use instead, where
                there is one), for a field given twice, and for each value that cannot be used.
        """
        wrong: list[str] = []
        values: dict[str, Any] = {}
        for key, value in data.items():
            if key not in _SPELLINGS:
                wrong.append(_unknown_key(key))
                continue
            field, convert = _SPELLINGS[key]
            if field in values:
                wrong.append(f"{key}: {field} is given twice.")
                continue
            try:
                values[field] = convert(value)
            except (TypeError, ValueError) as error:
                wrong.append(f"{key}: {error}.")
        if wrong:
            raise DefinitionError(*(_problem(message) for message in wrong))
        return cls(**values)


def _wrong_numbers(policy: RetryPolicy) -> Iterable[str]:
    if not _is_whole(policy.max_attempts) or policy.max_attempts < 1:
        yield f"max_attempts is a whole number from 1, not {policy.max_attempts!r}."
    for name, delay in (("initial_delay", policy.initial_delay), ("max_delay", policy.max_delay)):
        try:
            to_ms(delay)
        except ValueError as error:
            yield f"{name}: {error}."
    if not _is_number(policy.multiplier) or policy.multiplier < 1:
        yield f"multiplier is a finite number from 1, not {policy.multiplier!r}."
    if not _is_number(policy.jitter) or policy.jitter < 0:
        yield f"jitter is a finite number from 0, not {policy.jitter!r}."
    if policy.jitter_mode not in get_args(JitterMode):
        yield f"jitter_mode is one of {', '.join(get_args(JitterMode))}, not {policy.jitter_mode!r}."


def _wrong_exceptions(name: str, classes: object) -> Iterable[str]:
    if not isinstance(classes, (list, tuple, set, frozenset)):
        yield f"{name} is a sequence of exception classes, not {classes!r}."
        return
    for one in classes:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(one, type) or not issubclass(one, Exception):
            yield f"{name}: {one!r} is no exception class."


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _same(value: Any) -> Any:
    return value


def _milliseconds(value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"a number of milliseconds is needed, not {value!r}")
    return float(value) / 1000


def _interval(value: Any) -> Any:
    """`"1s"`, `"1m30s"`, `"500ms"`; a number is seconds, a timedelta itself."""
    if not isinstance(value, str):
        return value
    if not _INTERVAL.fullmatch(value):
        raise ValueError(f'an interval is written like "1s", "500ms" or "1m30s", not {value!r}')
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))


def _retries(value: Any) -> Any:
    return value + 1 if _is_whole(value) else value


_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_INTERVAL: Final = re.compile(rf"(?:{_PART.pattern})+")

_SPELLINGS: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    **{field.name: (field.name, _same) for field in fields(RetryPolicy)},
    "initialDelayMs": ("initial_delay", _milliseconds),
    "maxDelayMs": ("max_delay", _milliseconds),
    "jitterFactor": ("jitter", _same),
    "maxAttempts": ("max_attempts", _same),
    "initialInterval": ("initial_delay", _interval),
    "maximumInterval": ("max_delay", _interval),
    "backoffCoefficient": ("multiplier", _same),
    "maximumAttempts": ("max_attempts", _same),
    "IntervalSeconds": ("initial_delay", _same),
    "BackoffRate": ("multiplier", _same),
    "MaxAttempts": ("max_attempts", _retries),
}

_INSTEAD: Final = {
    "visibilityTimeoutMs": ".lease(seconds)",
    "visibilityTimeout": ".lease(seconds)",
    "leaseMs": ".lease(seconds)",
    "HeartbeatSeconds": ".lease(seconds)",
    "heartbeatTimeout": ".lease(seconds)",
    "timeoutMs": ".timeout(seconds)",
    "TimeoutSeconds": ".timeout(seconds)",
    "startToCloseTimeout": ".timeout(seconds)",
    "scheduleToCloseTimeout": ".timeout(seconds, step=seconds)",
    "nonRetryableErrorTypes": "reject_on=[…] with exception classes",
    "ErrorEquals": "on=[…] with exception classes",
    "MaxDelaySeconds": "max_delay=seconds",
    "JitterStrategy": 'jitter_mode="full" or "none"',
    "deadLetterQueue": ".dead_letters(…)",
    "prefetch": ".prefetch(jobs)",
}


def _unknown_key(key: str) -> str:
    instead = _INSTEAD.get(key)
    hint = f"use {instead}" if instead else f"known are {', '.join(_SPELLINGS)}"
    return f"{key!r} is not part of a retry policy; {hint}."


def _problem(message: str) -> Problem:
    place = caller()
    return Problem(code="bad_value", message=message, subject="RetryPolicy", file=place.file, line=place.line)
