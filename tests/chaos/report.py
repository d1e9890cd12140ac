"""The figures of a round, for a person and for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import Any

from tests.chaos.round import Result


def document(result: Result) -> dict[str, Any]:
    """The object that `JSON=1` prints; money in dollars."""
    books, load = result.books, result.load
    killed = Counter(job for kill in result.kills for job in kill.jobs)
    return {
        "ok": not result.violations,
        "kills": len(result.kills),
        "kills_in_handlers": sum(bool(kill.jobs) for kill in result.kills),
        "seed": result.plan.options.seed,
        "orders": len(result.goods.wares.orders),
        "source": result.goods.source,
        "rate": result.plan.rate,
        "latency_s": result.plan.options.latency,
        "elapsed_s": round(result.elapsed, 1),
        "startup_s": {"median": round(median(result.startups), 1), "longest": round(max(result.startups), 1)},
        "kills_by_service": dict(Counter(kill.service for kill in result.kills)),
        "jobs_killed": killed.total(),
        "jobs_killed_by_times": {
            str(times): many for times, many in sorted(Counter(killed.values()).items())
        },
        "crash_loops_redriven": len(result.load.redriven),
        "servers_killed": list(result.servers_killed),
        "exits_while_a_server_was_away": sum(gone.excused for gone in result.exits),
        "runs": {
            "total": len(load.runs),
            "by_status": dict(load.by_status.most_common()),
            "by_reason": dict(Counter(row.status for row in books.orders.values()).most_common()),
        },
        "stock": {
            "opening": sum(row.opening for row in books.products.values()),
            "remaining": sum(row.remaining for row in books.products.values()),
            "shipped": books.shipped.total(),
        },
        "money": {
            "charged": float(books.money_charged),
            "refunded": float(books.money_refunded),
            "confirmed": float(books.money_confirmed),
        },
        "violations": result.violations,
    }


def sentences(result: Result) -> Iterator[str]:
    """The same for a person."""
    told = document(result)
    stock, money = told["stock"], told["money"]
    yield f"{told['orders']} orders {told['source']}, {told['elapsed_s']} s."
    yield (
        f"{told['kills']} processes killed, {told['kills_in_handlers']} of them inside handlers, "
        f"where {told['jobs_killed']} jobs were at work; {told['crash_loops_redriven']} crash loops redriven."
    )
    if told["servers_killed"]:
        yield f"Killed too: {' and '.join(told['servers_killed'])}."
    yield (
        "Runs: " + ", ".join(f"{count} {status}" for status, count in told["runs"]["by_status"].items()) + "."
    )
    yield (
        "Orders: "
        + ", ".join(f"{count} {status}" for status, count in told["runs"]["by_reason"].items())
        + "."
    )
    yield f"Stock: opening {stock['opening']} = remaining {stock['remaining']} + shipped {stock['shipped']}."
    yield (
        f"Money: charged {money['charged']:,.2f} - refunded {money['refunded']:,.2f} "
        f"= confirmed {money['confirmed']:,.2f}."
    )
    if not result.violations:
        yield "Every run has ended, everything adds up, nothing is left over."
        return
    yield f"{len(result.violations)} violations:"
    yield from (f"  {violation}" for violation in result.violations)
