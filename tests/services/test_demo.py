"""`make demo` as a person or a program calls it, embedded; the totals are computed here once more by themselves."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from services.demo.generated import generate
from services.demo.options import Options
from tests.services.shop import NORTHWIND

ROOT = Path(__file__).resolve().parents[2]


def run_demo(*, expect: int = 0, **variables: str) -> tuple[str, dict[str, Any]]:
    """Run the demo as `make demo` does; what it prints, and the object in the last line."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.demo"],
        cwd=ROOT,
        env={**given, "DATA": "", **variables, "JSON": "1"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout, json.loads(done.stdout.splitlines()[-1]) if expect < 2 else {}


@dataclass
class Totals:
    """What the rules make of orders that are placed one after another."""

    endings: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    remaining: dict[str, int] = field(default_factory=dict)
    charged: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)


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


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """The 830 real orders; where this checkout has none beside it, as many generated ones in the same format."""
    if NORTHWIND.is_dir():
        return NORTHWIND
    print("no Northwind data beside the checkout: 830 generated orders in its format instead")
    folder = tmp_path / "orders"
    folder.mkdir()
    write_csv(folder)
    return folder


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


def test_orders_one_at_a_time_come_to_the_totals_that_the_rules_imply(orders: Path, tmp_path: Path) -> None:
    _, document = run_demo(ORDERS=str(orders), ONE_AT_A_TIME="1", DATA=str(tmp_path / "kept"))
    totals = totals_of(orders)
    with sqlite3.connect(tmp_path / "kept" / "orders.db") as database:
        endings = defaultdict(set)
        for order_id, status in database.execute("select order_id, status from orders"):
            endings[status].add(order_id)
    assert endings == totals.endings
    assert document["runs"]["total"] == 830
    assert document["runs"]["by_reason"] == {reason: len(ids) for reason, ids in totals.endings.items()}
    statuses = Counter(
        {
            "completed": len(endings["confirmed"]),
            "failed": len(endings["discontinued"] | endings["out_of_stock"]),
            "compensated": len(endings["payment_declined"] | endings["shipment_refused"]),
        }
    )
    assert document["runs"]["by_status"] == statuses
    remaining = {each["product_id"]: each["remaining"] for each in document["stock"]["products"]}
    assert remaining == totals.remaining
    assert document["money"] == {
        "charged": float(totals.charged),
        "refunded": float(totals.refunded),
        "confirmed": float(totals.charged - totals.refunded),
    }
    assert document["violations"] == []


def test_all_orders_at_once_lose_no_discontinued_one_and_add_up(orders: Path) -> None:
    _, document = run_demo(ORDERS=str(orders))
    reasons, totals = document["runs"]["by_reason"], totals_of(orders)
    assert reasons["discontinued"] == len(totals.endings["discontinued"])
    assert sum(reasons.values()) == sum(document["runs"]["by_status"].values()) == 830
    assert document["violations"] == []


def test_the_summary_draws_one_run_of_each_ending_and_says_that_it_adds_up() -> None:
    said, document = run_demo(COUNT="60", SEED="4")
    for reason in document["runs"]["by_reason"]:
        assert f"{reason}: the run of order" in said
    assert "payments.charge_payment → payment.charged" in said
    assert "undone" in said
    assert "Every run has ended, and everything adds up." in said


def test_the_document_has_every_field_that_it_promises() -> None:
    _, document = run_demo(COUNT="20", SEED="9")
    assert list(document) == [
        *("mode", "seed", "elapsed_s", "steps_per_second"),
        *("runs", "steps", "stock", "money", "violations"),
    ]
    assert (document["mode"], document["seed"]) == ("embedded", 9)
    assert document["elapsed_s"] > 0
    assert document["steps_per_second"] > 0
    assert set(document["runs"]) == {"total", "by_status", "by_reason"}
    assert set(document["steps"]) == {"committed", "undone", "dead"}
    stock = document["stock"]
    assert set(stock["products"][0]) == {"product_id", "opening", "remaining", "shipped"}
    for name in ("opening", "remaining", "shipped"):
        assert stock[name] == sum(product[name] for product in stock["products"])
    assert set(document["money"]) == {"charged", "refunded", "confirmed"}


def test_the_same_seed_comes_to_the_same_figures() -> None:
    first, second = (run_demo(COUNT="40", SEED="21")[1] for _ in range(2))
    for document in (first, second):
        del document["elapsed_s"], document["steps_per_second"]
    assert first == second


def test_data_keeps_the_databases_and_a_second_round_replaces_them(tmp_path: Path) -> None:
    for count in ("12", "7"):
        run_demo(COUNT=count, DATA=str(tmp_path))
        with sqlite3.connect(tmp_path / "orders.db") as database:
            assert database.execute("select count(*) from orders").fetchone() == (int(count),)
    assert {file.stem for file in tmp_path.glob("*.db")} == {
        *("orders", "inventory", "payments", "shipping", "notifications")
    }


def test_a_rate_and_a_latency_take_their_time() -> None:
    _, document = run_demo(COUNT="10", RATE="10", LATENCY="0.05")
    assert document["elapsed_s"] >= 0.9 + 0.05 * 2, (
        "the last order is placed after 0.9 s, and takes two steps"
    )


def test_wrong_options_are_told_and_nothing_runs() -> None:
    said, _ = run_demo(expect=2, COUNT="many")
    assert said == ""
