"""What becomes of an exhausted job: its letter, and the event that its `on_exhausted` function makes of it."""

from __future__ import annotations

import logging
import sysconfig
import traceback
from hashlib import blake2b
from pathlib import Path
from types import TracebackType

from pavane.core.answers import Exhausted
from pavane.core.calls import Policy, Verdict
from pavane.core.record import EventRow, Letter
from pavane.model.values import ExhaustedReason, StepFailure
from pavane.runtime.crew import Crew
from pavane.runtime.handling import event_arguments, new_event
from pavane.runtime.subject import Subject

LONGEST_TRACEBACK = 8_192
LONGEST_ERROR = 2_000
ANSWER_PLACE = 1_000_000
"""The ordinal of a policy's event: no handler can emit so many, so the ids never meet."""

_ELSEWHERE = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
"""Folders of code that is not the user's: pavane's and Python's own. Not all below the prefix of an installation:
that may be `/usr`, and the user's code in `/usr/src/app`."""
_INSTALLED = ("site-packages", "dist-packages")

log = logging.getLogger("pavane")


def of_answer(
    crew: Crew,
    subject: Subject,
    answer: Exhausted,
    raised: BaseException | None = None,
    *,
    joined: tuple[EventRow, ...] = (),
) -> Verdict:
    """The verdict that an *exhausted* answer asks for. `joined`: the events of a join, which its policy is asked of."""
    return verdict(
        crew,
        subject,
        reason=answer.reason,
        attempts=answer.attempts,
        error=answer.error,
        error_type=answer.error_type,
        raised=raised,
        joined=joined,
    )


def verdict(
    crew: Crew,
    subject: Subject,
    *,
    reason: ExhaustedReason,
    attempts: int,
    error: str,
    error_type: str,
    raised: BaseException | None = None,
    joined: tuple[EventRow, ...] = (),
) -> Verdict:
    """Prepare what follows from a job's exhaustion. Whether it is exhausted is decided by the store."""
    where = user_frame(raised.__traceback__ if raised else None)
    letter = Letter(
        id=subject.letter,
        kind=subject.kind,
        step=subject.step,
        worker=subject.worker.full_name,
        event=subject.envelope.event.id,
        reason=reason,
        error=error,
        error_type=error_type,
        traceback=traceback_text(raised),
        fingerprint=fingerprint(subject.worker.full_name, error_type, where),
        where=where,
        headers=tuple(sorted((name, str(value)) for name, value in subject.delivery.message.headers.items())),
    )
    exhaustion = subject.worker.on_exhausted
    if subject.kind == "undo":
        return Verdict(letter=letter)
    policy: Policy = exhaustion.action
    if policy != "answer":
        return Verdict(letter=letter, policy=policy)
    failure = StepFailure(error=error, error_type=error_type, attempts=attempts, reason=reason)
    answer = answer_event(crew, subject, failure, joined)
    return Verdict(letter=letter, policy="answer" if answer else "stall", answer=answer)


def answer_event(
    crew: Crew, subject: Subject, failure: StepFailure, joined: tuple[EventRow, ...]
) -> EventRow | None:
    """The event of an `on_exhausted` function; `None` if it raises or returns what is not declared.

    An arrival at a join that the broker has given up lacks the other events, so nothing can be asked.
    """
    function = subject.worker.on_exhausted.function
    if function is None or (subject.worker.joins and not joined):
        return None
    try:
        event = function(*event_arguments(subject, joined), failure)
        if type(event) not in subject.worker.produces:
            raise TypeError(f"it returned {type(event).__name__}, which the worker does not declare")
        return new_event(crew, subject, event, ANSWER_PLACE, hops=subject.envelope.event.hops + 1)
    except Exception:
        log.exception("on_exhausted of %s failed: its run is stalled instead", subject.worker.full_name)
        return None


def error_text(error: BaseException) -> str:
    """An exception's message as one printable text of bounded length."""
    text = str(error) or type(error).__name__
    printable = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
    return printable[:LONGEST_ERROR]


def traceback_text(error: BaseException | None) -> str:
    """The end of the traceback, without local variables; empty without an error."""
    if error is None:
        return ""
    text = "".join(traceback.format_exception(error))
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)[
        -LONGEST_TRACEBACK:
    ]


def user_frame(trace: TracebackType | None) -> str:
    """`file:function` of the innermost frame of the user's own code; of the innermost frame if there is none."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if is_users(Path(frame.filename))]
    frame = own[-1] if own else (frames[-1] if frames else None)
    return f"{Path(frame.filename).name}:{frame.name}" if frame else ""


def is_users(file: Path) -> bool:
    """Whether code in this file is neither pavane's, nor Python's, nor that of an installed package."""
    installed = any(part in file.parts for part in _INSTALLED)
    made_up = str(file).startswith("<")  # <string>, <frozen importlib._bootstrap>
    return not (installed or made_up or any(file.is_relative_to(folder) for folder in _ELSEWHERE))


def fingerprint(worker: str, error_type: str, where: str) -> str:
    """Groups letters that died of the same thing: 12 hex digits of worker, exception type and place."""
    return blake2b(f"{worker}/{error_type}/{where}".encode(), digest_size=6).hexdigest()
