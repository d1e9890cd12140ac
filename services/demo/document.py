"""The figures as a program reads them: what `JSON=1` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from services.demo.books import Books
from services.demo.drive import Drive
from services.demo.options import Options

STEP_COUNTS = ("committed", "undone", "dead")


@dataclass(frozen=True)
class Outcome:
    """What a round of the demo came to."""

    options: Options
    drive: Drive
    books: Books
    violations: Sequence[str]

    @property
    def by_reason(self) -> Counter[str]:
        """Orders by what became of them, from the orders service's book; the most frequent first."""
        counts = Counter(row.status for row in self.books.orders.values())
        return Counter(dict(counts.most_common()))

    @property
    def steps(self) -> Counter[str]:
        """Steps of all runs by status."""
        counts = Counter[str]()
        for run in self.drive.runs.values():
            counts.update(run.steps)
        return counts

    @property
    def steps_per_second(self) -> float:
        """Steps and undos done per second, from the first order placed to the last run ended."""
        done = self.steps["committed"] + 2 * self.steps["undone"]
        return done / self.drive.elapsed if self.drive.elapsed else 0.0

    def document(self) -> dict[str, Any]:
        """The object, ready for JSON."""
        books, steps = self.books, self.steps
        return {
            "mode": "servers" if self.options.on_servers else "embedded",
            "seed": self.options.seed,
            "elapsed_s": round(self.drive.elapsed, 3),
            "steps_per_second": round(self.steps_per_second, 1),
            "runs": {
                "total": len(self.drive.runs),
                "by_status": dict(self.drive.by_status.most_common()),
                "by_reason": dict(self.by_reason),
            },
            "steps": {name: steps[name] for name in STEP_COUNTS},
            "stock": _stock(books),
            "money": {
                "charged": _dollars(books.money_charged),
                "refunded": _dollars(books.money_refunded),
                "confirmed": _dollars(books.money_confirmed),
            },
            "violations": list(self.violations),
        }


def _stock(books: Books) -> dict[str, Any]:
    counts = {
        product_id: {"opening": row.opening, "remaining": row.remaining, "shipped": books.shipped[product_id]}
        for product_id, row in books.products.items()
    }
    totals = sum((Counter(each) for each in counts.values()), Counter[str]())
    return {
        **{name: totals[name] for name in ("opening", "remaining", "shipped")},
        "products": [{"product_id": product_id, **each} for product_id, each in counts.items()],
    }


def _dollars(amount: Decimal) -> float:
    # A JSON number; a double holds cents exactly enough for any sum below a hundred billion dollars.
    return float(round(amount, 2))
