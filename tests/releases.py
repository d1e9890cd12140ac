"""Two releases of one app: the second one has the second version of every event, and upcasters.

What version 1 calls `item` is `sku` in version 2, which knows `pieces` too. Run ids are orders; the sku `none` is
refused, so that the reservation is undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import create_model

from pavane import App, Event, Service, Workflow
from pavane.model.event import Upcast

ONE_PIECE = 1


def lift(old: dict[str, Any]) -> dict[str, Any]:
    """From version 1 to version 2."""
    return {"order": old["order"], "sku": old["item"], "pieces": ONE_PIECE}


@dataclass
class Release:
    """The app in one version, and what its handlers were given: worker, event, and of an undo the result."""

    version: int
    upcaster: Upcast | None = lift
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.placed, self.reserved = self._event("Placed"), self._event("Reserved")
        self.confirmed, self.refused = self._event("Confirmed"), self._event("Refused")
        self.orders: Workflow[Any, Any] = Workflow(
            "orders",
            starts_with=self.placed,
            run_id=lambda placed: placed.order,
            completes_with=[self.confirmed],
            fails_with=[self.refused],
        )
        stock, mail = Service("stock"), Service("mail")
        reserve = stock.queue_worker("reserve").on(self.placed).emits(self.reserved)
        reserve.compensate_with(self._unreserve).handler(self._reserve)
        confirm = mail.queue_worker("confirm").on(self.reserved).emits(self.confirmed, self.refused)
        confirm.retry(initial_delay=0.5, jitter_mode="none").handler(self._confirm)
        self.app = App(services=[stock, mail], workflows=[self.orders])

    def _event(self, name: str) -> type[Any]:
        """A class of the same name in each release, as if the module had been changed and loaded again."""
        fields: dict[str, Any] = {"order": (str, ...), "item": (str, ...)}
        if self.version == 2:
            fields = {"order": (str, ...), "sku": (str, ...), "pieces": (int, ...)}
        options = {"name": f"release.{name.lower()}", "version": self.version, "extra": "forbid"}
        made: type[Event] = create_model(
            name, __base__=Event, __module__=__name__, __cls_kwargs__=options, **fields
        )
        if self.version == 2 and self.upcaster is not None:
            made.upcaster(from_version=1)(self.upcaster)
        return made

    def order(self, order: str, sku: str = "lamp") -> Any:
        """An event that starts a run."""
        named = {"item": sku} if self.version == 1 else {"sku": sku, "pieces": 3}
        return self.placed(order=order, **named)

    async def _reserve(self, ctx, placed):
        self.calls.append(("reserve", placed))
        return self.reserved(**placed.model_dump())

    async def _unreserve(self, ctx, placed, done):
        self.calls.append(("unreserve", placed, done))

    async def _confirm(self, ctx, reserved):
        self.calls.append(("confirm", reserved))
        refused = "none" in reserved.model_dump().values()
        return (self.refused if refused else self.confirmed)(**reserved.model_dump())
