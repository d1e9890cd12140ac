"""The events of all generated choreographies: the same few classes, wired anew by each plan."""

from __future__ import annotations

from types import new_class
from typing import Final

from pavane import Event


class Carried(Event):
    """Attributes:
    key: the run's id.
    lap: of a cycle.
    calm: nothing goes wrong any more where this event leads.
    """

    key: str
    lap: int = 0
    calm: bool = False
    note: str = ""


class Started(Carried, name="load.started"): ...


class Completed(Carried, name="load.completed"): ...


class Failed(Carried, name="load.failed"): ...


class Told(Carried, name="load.told"):
    """From outside, into a run or into none."""


def event_class(number: int) -> type[Carried]:
    made: type[Carried] = new_class(
        f"E{number}", (Carried,), {"name": f"load.e{number}"}, lambda body: body.update(__module__=__name__)
    )
    return made


POOL: Final[tuple[type[Carried], ...]] = tuple(event_class(number) for number in range(24))
"""The events between start and end."""

ALL: Final[tuple[type[Carried], ...]] = (Started, Completed, Failed, Told, *POOL)
CLASSES: Final = {one.event_name: one for one in ALL}
