"""Every exception pavane raises.

Blame is split: what you defined, set or called; what the peer sent; what the
infrastructure did. `code` is stable and meant for programs, the text for people,
`remedy` says what to do next.

    Retry, NotNow, Reject        raised by a handler to say how the attempt ended
    PavaneError
    ├─ DefinitionError           your definition
    ├─ SettingsError             your settings
    ├─ UsageError                your call: UndeclaredEvent, LimitExceeded, NotInRun
    ├─ RunError                  RunNotFound, RunFailed, IllegalMove, ActionRefused
    ├─ MessageError              the peer's message: Undecodable, InvalidPayload, TooLarge,
    │                            UnknownEvent, UnknownRun, UnauthorisedProducer
    └─ InfrastructureError       BrokerUnavailable, StateUnavailable, StateLost, TopologyMismatch, Overloaded
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


class Retry(Exception):
    """Raise in a handler: this attempt failed, try again.

    It counts as a failed attempt. `after` (seconds or a timedelta) replaces the policy's
    delay, without jitter; `None` leaves the delay to the policy.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class NotNow(Exception):
    """Raise in a handler: not possible now, try again after `after` (seconds or a timedelta).

    It is not an attempt. `timeout(step=…)` bounds how long this may go on.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Reject(Exception):
    """Raise in a handler: this job can never succeed; it becomes a dead letter at once."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PavaneError(Exception):
    """Base of all errors of pavane.

    Attributes:
        code: stable name for programs: the class's name in snake case.
        remedy: what to do about it, a sentence; empty if there is nothing to add, which no error of the
            infrastructure is.
    """

    code: ClassVar[str] = "pavane_error"
    usual_remedy: ClassVar[str] = ""
    """What to do where whoever raises it knows no better."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy or self.usual_remedy

    def __init_subclass__(cls) -> None:
        if "code" not in vars(cls):
            cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with a definition.

    Attributes:
        code: stable name, such as `bad_name` or `undo_mismatch`.
        message: what is wrong, a sentence.
        subject: what it is about: `service.worker`, an event's or a workflow's name.
        file, line: where it was written; `None` if that cannot be known.
        remedy: what to write instead; may be empty.
    """

    code: str
    message: str
    subject: str
    file: str | None = None
    line: int | None = None
    remedy: str = ""

    def __str__(self) -> str:
        place = f" ({self.file}:{self.line})" if self.file else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"[{self.code}] {self.subject}: {self.message}{place}{remedy}"


class DefinitionError(PavaneError):
    """Events, workflows or workers are not defined correctly; `problems` has all that was found."""

    def __init__(self, *problems: Problem) -> None:
        lines = [str(problem) for problem in problems]
        text = lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} problems:", *lines])
        super().__init__(text, remedy=problems[0].remedy if len(problems) == 1 else "")
        self.problems = problems


class SettingsError(PavaneError):
    """A setting is missing or has a value that cannot be used."""


class UsageError(PavaneError):
    """A call that cannot be meant. In a handler the job is rejected, not retried."""


class UndeclaredEvent(UsageError):
    """An event that the worker did not declare with `.emits` or its return annotation."""


class LimitExceeded(UsageError):
    """More than a limit of the settings allows."""


class NotInRun(UsageError):
    """Asked for something that only a run has, by a job that belongs to none."""


class RunError(PavaneError):
    """About one run, named in full (`<workflow>:<run id>`) by `run`."""

    def __init__(self, message: str, *, run: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.run = run


class RunNotFound(RunError):
    """No such run, or no longer."""

    usual_remedy = "`pavane runs ls` lists the runs there are; one that ended leaves after PAVANE_RETENTION."


class RunFailed(RunError):
    """The run ended otherwise than completed; `status` says how."""

    def __init__(self, message: str, *, run: str, status: str, remedy: str = "") -> None:
        super().__init__(message, run=run, remedy=remedy)
        self.status = status


class IllegalMove(RunError):
    """The event is not legal in the run's present state."""


class ActionRefused(RunError):
    """The run's present status forbids the action."""


class MessageError(PavaneError):
    """A message from elsewhere that cannot be worked on."""


class Undecodable(MessageError):
    """Not JSON, nested too deeply, of another content type, or with headers that cannot be read."""


class InvalidPayload(MessageError):
    """JSON, but not what the event's class takes."""


class TooLarge(MessageError):
    """Over the limit for a body on the wire."""


class UnknownEvent(MessageError):
    """No class here for this event's name or version."""


class UnknownRun(MessageError):
    """An event of a run that does not exist and that this event does not start."""


class UnauthorisedProducer(MessageError):
    """Published by a user that is no declared producer of the event."""


class InfrastructureError(PavaneError):
    """Broker or store did not do what was needed; the same call may succeed later."""

    usual_remedy = "`pavane doctor` says what is wrong with the servers."


class BrokerUnavailable(InfrastructureError):
    """The broker cannot be reached, or did not confirm in time."""

    usual_remedy = "Look whether RabbitMQ runs where PAVANE_BROKER_URL says; `pavane doctor` tries it."


class StateUnavailable(InfrastructureError):
    """The state store cannot be reached, or did not answer in time."""

    usual_remedy = "Look whether Redis runs where PAVANE_STATE_URL says; `pavane doctor` tries it."


class StateLost(InfrastructureError):
    """The state store has forgotten what it acknowledged; nothing goes on until that is decided."""

    usual_remedy = "Restore Redis, or accept the loss with `pavane topology apply --new-epoch`."


class TopologyMismatch(InfrastructureError):
    """A queue or exchange exists with other arguments than wanted."""

    usual_remedy = "`pavane topology plan` shows what differs and what to do about it."


class Overloaded(InfrastructureError):
    """A worker's queue is full; try again after `retry_after` seconds."""

    usual_remedy = "Try again later; `pavane doctor` says whether anybody consumes."

    def __init__(self, message: str, *, worker: str, retry_after: float, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.worker = worker
        self.retry_after = retry_after
