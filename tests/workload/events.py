"""The events of all generated choreographies: the same few classes, wired anew by each plan."""

from __future__ import annotations

from typing import Any, Final

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
    namespace: dict[str, Any] = {"__module__": __name__, "__qualname__": f"E{number}"}
    return type(Carried)(f"E{number}", (Carried,), namespace, name=f"load.e{number}")


POOL: Final[tuple[type[Carried], ...]] = tuple(event_class(number) for number in range(24))
"""The events between start and end."""

CLASSES: Final[dict[str, type[Carried]]] = {
    one.event_name: one for one in (Started, Completed, Failed, Told, *POOL)
}
