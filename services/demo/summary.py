"""The summary that a person reads at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.tree import Tree

from services.demo.document import Outcome

MOST_VIOLATIONS = 20


def print_summary(console: Console, outcome: Outcome, trees: Sequence[Tree]) -> None:
    """Endings, stock and money, one run of each ending, and whether it all adds up."""
    console.print()
    for tree in trees:
        console.print(Padding(tree, (0, 0, 1, 0)))
    console.print(_endings(outcome))
    _print_sums(console, outcome)
    _print_pace(console, outcome)
    _print_verdict(console, outcome)


def _endings(outcome: Outcome) -> Table:
    table = Table(title="What became of the orders", title_justify="left")
    for column in ("order", "run"):
        table.add_column(column)
    for column in ("orders", "worth"):
        table.add_column(column, justify="right")
    worth: dict[str, Decimal] = defaultdict(Decimal)
    statuses: dict[str, Counter[str]] = defaultdict(Counter)
    for order_id, row in outcome.books.orders.items():
        worth[row.status] += row.value
        run = outcome.drive.runs.get(order_id)
        statuses[row.status][run.status if run else "unknown"] += 1
    for reason, count in outcome.by_reason.items():
        table.add_row(reason, ", ".join(statuses[reason]), f"{count:,}", f"{worth[reason]:,.2f}")
    return table


def _print_sums(console: Console, outcome: Outcome) -> None:
    books = outcome.books
    opening = sum(row.opening for row in books.products.values())
    remaining = sum(row.remaining for row in books.products.values())
    shipped = sum(books.shipped.values())
    money = f"charged {books.money_charged:,.2f} − refunded {books.money_refunded:,.2f}"
    console.print("From the services' own books:", style="italic")
    console.print(f"  stock  opening {opening:,} = remaining {remaining:,} + shipped {shipped:,}")
    console.print(f"  money  {money} = {books.money_confirmed:,.2f} confirmed")
    console.print()


def _print_pace(console: Console, outcome: Outcome) -> None:
    steps = outcome.steps
    where = "a process per service, on servers" if outcome.options.on_servers else "embedded, in one process"
    console.print(
        f"{len(outcome.drive.runs):,} runs, {steps['committed'] + steps['undone']:,} steps "
        f"({steps['undone']:,} of them undone) in {outcome.drive.elapsed:.1f} s: "
        f"{outcome.steps_per_second:,.0f} a second, {where}.",
        highlight=False,
    )


def _print_verdict(console: Console, outcome: Outcome) -> None:
    if not outcome.violations:
        console.print("Every run has ended, and everything adds up.", style="bold green")
        return
    console.print(f"{len(outcome.violations)} things are wrong:", style="bold red")
    for violation in outcome.violations[:MOST_VIOLATIONS]:
        console.print(f"  {violation}", style="red", highlight=False)
    if len(outcome.violations) > MOST_VIOLATIONS:
        console.print(f"  … and {len(outcome.violations) - MOST_VIOLATIONS} more.", style="red")
