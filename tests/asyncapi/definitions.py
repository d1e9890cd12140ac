"""Apps whose events have everything that a payload can have: the parser has to take their documents."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field

from pavane import App, Context, Event, Service, Workflow
from pavane.events import StepDeadLettered

T = TypeVar("T")


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Box(BaseModel):
    kind: Literal["box"] = "box"
    inside: list[Box] = []


class Bag(BaseModel):
    kind: Literal["bag"] = "bag"
    litres: Annotated[float, Field(gt=0)]


class Labelled(BaseModel, Generic[T]):
    label: str
    value: T


class Asked(Event, name="move.asked", version=2):
    """Somebody wants to move."""

    move: str
    metres: int


@Asked.upcaster(from_version=1)
def metres_from_feet(old: dict[str, Any]) -> dict[str, Any]:
    return {"move": old["move"], "metres": round(old["feet"] * 0.3048)}


class Moved(Event, name="move.done"):
    move: str
    metres: int


class Everything(Event, name="move.everything", extra="forbid"):
    """A payload with all that pydantic can say."""

    things: list[Annotated[Box | Bag, Field(discriminator="kind")]]
    place: tuple[float, float] = (0.0, 0.0)
    trail: tuple[str, ...] = ()
    labels: dict[str, Labelled[int]] = Field(default_factory=dict)
    sizes: frozenset[Size] = frozenset()
    at: datetime | None = None
    day: date | None = None
    lasts: timedelta = timedelta(0)
    id: UUID | None = None
    price: Annotated[Decimal, Field(max_digits=8, decimal_places=2)] = Decimal(0)
    raw: bytes = b""
    default: Any = None
    discriminator: str = Field("none", alias="discriminator", examples=["a", "b"], deprecated=True)


moves = Workflow("moves", starts_with=Asked, run_id=lambda asked: asked.move, completes_with=[Moved])
by_id = Workflow("by_id", starts_with=Everything, completes_with=[Moved])

movers = Service("movers")
office = Service("office")


@movers.queue_worker("move", "Move house")
async def move(ctx: Context, asked: Asked) -> Moved:
    return Moved(move=asked.move, metres=asked.metres)


@movers.queue_worker("pack")
async def pack(ctx: Context, everything: Everything) -> Moved | None:
    return None


@office.queue_worker("worry")
async def worry(ctx: Context, letter: StepDeadLettered) -> None:
    """Told by pavane itself."""


second_version = App(services=[movers, office], workflows=[moves, by_id])
