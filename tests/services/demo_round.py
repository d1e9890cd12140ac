"""A round of the demo as `make demo` runs it, and what its rules imply, computed once more by themselves."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from services.demo.generated import generate
from services.demo.options import Options

ROOT = Path(__file__).resolve().parents[2]


def call_demo(**variables: str) -> subprocess.CompletedProcess[str]:
    """Call the demo as `make demo` does, with these variables and without any of pavane's."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")}
    return subprocess.run(
        [sys.executable, "-m", "services.demo"],
        cwd=ROOT,
        env={**given, "DATA": "", **variables, "JSON": "1"},
        capture_output=True,
        text=True,
        timeout=110,
    )


def run_demo(**variables: str) -> tuple[str, dict[str, Any]]:
    """Run a round that has to go well; what it prints, and the object in the last line."""
    done = call_demo(**variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(done.stdout.splitlines()[-1])


@dataclass
class Totals:
    """What the rules make of orders that are placed one after another."""

    endings: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    remaining: dict[str, int] = field(default_factory=dict)
    charged: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)


def assert_comes_to(document: dict[str, Any], totals: Totals) -> None:
    """What the demo's document says of endings, stock and money is what the rules imply, and nothing is violated."""
    endings = totals.endings
    assert document["runs"]["by_reason"] == {reason: len(ids) for reason, ids in endings.items()}
    assert document["runs"]["by_status"] == Counter(
        {
            "completed": len(endings["confirmed"]),
            "failed": len(endings["discontinued"] | endings["out_of_stock"]),
            "compensated": len(endings["payment_declined"] | endings["shipment_refused"]),
        }
    )
    remaining = {each["product_id"]: each["remaining"] for each in document["stock"]["products"]}
    assert remaining == totals.remaining
    assert document["money"] == {
        "charged": float(totals.charged),
        "refunded": float(totals.refunded),
        "confirmed": float(totals.charged - totals.refunded),
    }
    assert document["violations"] == []


def totals_of(folder: Path) -> Totals:
    """Straight from the CSV, without a line of the services."""
    rows = {name: read_csv(folder / f"{name}.csv") for name in ("orders", "order_details", "products")}
    gone = {row["product_id"] for row in rows["products"] if row["discontinued"] == "1"}
    lines: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows["order_details"]:
        lines[row["order_id"]].append(row)
    totals = Totals()
    for row in rows["products"]:
        totals.remaining[row["product_id"]] = 10 * (int(row["units_in_stock"]) + int(row["units_on_order"]))
    for row in sorted(rows["orders"], key=lambda one: int(one["order_id"])):
        ending = ending_of(row, lines[row["order_id"]], gone, totals)
        totals.endings[ending].add(row["order_id"])
    return totals


def ending_of(order: dict[str, str], lines: list[dict[str, str]], gone: set[str], totals: Totals) -> str:
    if any(line["product_id"] in gone for line in lines):
        return "discontinued"
    if any(int(line["quantity"]) > totals.remaining[line["product_id"]] for line in lines):
        return "out_of_stock"
    value = sum(amount_of(line) for line in lines)
    if value > 2000:
        return "payment_declined"
    totals.charged += value
    if Decimal(order["freight"]) > 50:
        totals.refunded += value
        return "shipment_refused"
    for line in lines:
        totals.remaining[line["product_id"]] -= int(line["quantity"])
    return "confirmed"


def amount_of(line: dict[str, str]) -> Decimal:
    exact = Decimal(line["unit_price"]) * Decimal(line["quantity"]) * (1 - Decimal(line["discount"]))
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def write_csv(folder: Path) -> None:
    wares = generate(Options(count=830, seed=11))
    products = ["product_id,product_name,units_in_stock,units_on_order,discontinued"]
    products += [
        f"{one.product_id},{one.name},{one.opening // 200},{one.opening % 3},{int(one.discontinued)}"
        for one in wares.products
    ]
    orders, lines = ["order_id,customer_id,freight"], ["order_id,product_id,unit_price,quantity,discount"]
    for placed in wares.orders:
        orders.append(f"{placed.order_id},{placed.customer_id},{placed.freight}")
        lines += [
            f"{placed.order_id},{line.product_id},{line.unit_price},{line.quantity},{line.discount}"
            for line in placed.lines
        ]
    for name, text in {"products": products, "orders": orders, "order_details": lines}.items():
        (folder / f"{name}.csv").write_text("\n".join(text) + "\n", encoding="utf-8")


def first_orders(count: int, source: Path, folder: Path) -> Path:
    """The first orders of a folder, in a folder of their own; a fifth of the stock, so that they run short too."""
    folder.mkdir()
    orders = sorted(read_csv(source / "orders.csv"), key=lambda one: int(one["order_id"]))[:count]
    chosen = {one["order_id"] for one in orders}
    lines = [line for line in read_csv(source / "order_details.csv") if line["order_id"] in chosen]
    products = read_csv(source / "products.csv")
    for product in products:
        product.update(units_in_stock=str(int(product["units_in_stock"]) // 5), units_on_order="0")
    for name, rows in {"orders": orders, "order_details": lines, "products": products}.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder
