"""The crash matrix: which point of the protocol a process dies at, and in which part it plays.

The points are read from the code: every call of `passed("…")` below `framework/pavane`. Where it stands says who
passes it: a relay, a client, an operator's redrive, or a process with a job, for a step as for an undo.
"""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import pavane
from tests.crash import beside
from tests.crash.cases import CASES, Case
from tests.crash.judge import judge
from tests.crash.takeover import play

Role = Literal["step", "undo", "relay", "client start", "redrive"]
ROLES: tuple[Role, ...] = get_args(Role)
Play: TypeAlias = Callable[[str, str, Path], Awaitable[None]]

WHERE: dict[str, tuple[Role, ...]] = {
    "runtime/relay.py": ("relay",),
    "client/means.py": ("client start",),
    "client/letter_actions.py": ("redrive",),
}
"""Who passes the points of a module; of every other module in `runtime`: a step and an undo."""

NOT_PLAYED = {
    ("undo", "reject"): "what an undo queue holds and nobody can read is recorded as any other message is",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One process that dies.

    Attributes:
        crash: `<point>:<n>` as `PAVANE_CRASH` takes it.
        about: tells cells of one role and point apart.
        play: on these servers, with this folder; raises AssertionError.
        waits: it mostly waits for a time to pass.
    """

    role: Role
    crash: str
    play: Play
    about: str = ""
    waits: bool = False

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.role.replace(" ", "_"), self.crash, self.about)))

    @property
    def point(self) -> str:
        return self.crash.partition(":")[0]

    @property
    def hits(self) -> int:
        """How often the point was passed when the process died there: it dies nowhere else."""
        return int(self.crash.partition(":")[2])


async def play_and_judge(broker: str, state: str, folder: Path, *, case: Case) -> None:
    judge(await play(case, broker, state, folder))


def cells() -> list[Cell]:
    found = [
        Cell(role=case.kind, crash=case.crash, play=partial(play_and_judge, case=case)) for case in CASES
    ]
    for point in ("reject", "dead_published"):
        unread = partial(beside.what_cannot_be_read, crash=f"{point}:1")
        found.append(Cell(role="step", crash=f"{point}:1", play=unread, about="unreadable"))
        # The intake passes `reject` twice: the job that never began is put back once.
        nth = f"{point}:{2 if point == 'reject' else 1}"
        given_up = partial(beside.what_the_broker_gives_up, crash=nth)
        found.append(Cell(role="step", crash=nth, play=given_up, about="given_up"))
    for point in ("relay_tick", "relay_publish", "relay_mark"):
        event = partial(beside.the_relay, crash=f"{point}:1", kind="step")
        undo = partial(beside.the_relay, crash=f"{point}:1", kind="undo")
        # What is not marked is published by the next relay, when the dead one's claim on the shard has run out.
        waits = point != "relay_mark"
        found.append(Cell(role="relay", crash=f"{point}:1", play=event, about="event", waits=waits))
        found.append(Cell(role="relay", crash=f"{point}:1", play=undo, about="undo", waits=waits))
    for point in ("client_write", "client_publish", "client_mark"):
        start = partial(beside.a_start, crash=f"{point}:1")
        found.append(Cell(role="client start", crash=f"{point}:1", play=start))
    for point in ("redrive", "redrive_publish", "redrive_mark"):
        step = partial(beside.a_redrive, crash=f"{point}:1", kind="step")
        undo = partial(beside.a_redrive, crash=f"{point}:1", kind="undo")
        found.append(Cell(role="redrive", crash=f"{point}:1", play=step, about="step", waits=True))
        found.append(Cell(role="redrive", crash=f"{point}:1", play=undo, about="undo", waits=True))
    return found


MATRIX = cells()


def points_in_the_code() -> set[tuple[Role, str]]:
    """Every crash point that the framework passes, and who passes it."""
    root = Path(pavane.__file__).parent
    found: set[tuple[Role, str]] = set()
    for folder in ("runtime", "client"):
        for file in sorted((root / folder).glob("*.py")):
            roles = WHERE.get(str(file.relative_to(root)), ("step", "undo"))
            found |= {(role, point) for role in roles for point in passed_in(ast.parse(file.read_text()))}
    return found


def passed_in(module: ast.Module) -> set[str]:
    """The first argument of every call of `….passed("…")`."""
    return {
        call.args[0].value
        for call in ast.walk(module)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "passed"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def missing(points: Set[tuple[str, str]]) -> list[str]:
    """Points that no cell plays, and that nothing is written about."""
    played = {(cell.role, cell.point) for cell in MATRIX}
    return sorted(f"{role}: {point}" for role, point in points - played - set(NOT_PLAYED))
