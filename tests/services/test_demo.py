"""`make demo` as a person or a program calls it, embedded; the totals are computed here once more by themselves."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path

from tests.services.demo_round import assert_comes_to, call_demo, run_demo, totals_of


def test_orders_one_at_a_time_come_to_the_totals_that_the_rules_imply(orders: Path, tmp_path: Path) -> None:
    _, document = run_demo(ORDERS=str(orders), ONE_AT_A_TIME="1", DATA=str(tmp_path / "kept"))
    totals = totals_of(orders)
    with sqlite3.connect(tmp_path / "kept" / "orders.db") as database:
        endings = defaultdict(set)
        for order_id, status in database.execute("select order_id, status from orders"):
            endings[status].add(order_id)
    assert endings == totals.endings
    assert document["runs"]["total"] == 830
    assert_comes_to(document, totals)


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
    done = call_demo(COUNT="many")
    assert (done.returncode, done.stdout) == (2, "")
