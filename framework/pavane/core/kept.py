"""What a run keeps until more comes: deliveries until it is resumed, arrivals until a join is complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

JOINED = "pavane.joined"
"""Name of the event with which a join's job is delivered; its handler gets the events that were joined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldJob:
    """A delivery that came while the run was paused. `id` is its job and generation, `order` its place in the row.

    An undo's has no `event`: its arguments come from the record.
    """

    id: str
    order: int
    kind: Literal["step", "undo"]
    worker: str
    step: str
    event: str
    generation: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """What has arrived for a worker with `on_all`; it runs once in a run, when one of each event is there.

    Attributes:
        event: id of the join's own event, with which its job is delivered; known to `events` once it `fired`.
        names: of the events to join, in the order of the handler's arguments.
        arrived: the first event of each name, as (name, id).
    """

    worker: str
    event: str
    names: tuple[str, ...]
    arrived: tuple[tuple[str, str], ...] = ()
    fired: bool = False
    since: int = 0
