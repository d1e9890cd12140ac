"""The demo with a PostgreSQL database for each service: the same totals, and books that begin empty."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from tests.services.demo_round import assert_comes_to, call_demo, first_orders, run_demo, totals_of


def test_orders_one_at_a_time_come_to_the_totals_that_the_rules_imply(
    orders: Path, tmp_path: Path, databases: dict[str, str]
) -> None:
    folder = first_orders(150, orders, tmp_path / "first")
    _, document = run_demo(ORDERS=str(folder), ONE_AT_A_TIME="1", DATA=str(tmp_path / "kept"), **databases)
    totals = totals_of(folder)
    endings: dict[str, set[str]] = defaultdict(set)
    engine = create_engine(databases["ORDERS_DATABASE_URL"])
    with engine.connect() as connection:
        for order_id, status in connection.execute(text("select order_id, status from orders")):
            endings[status].add(order_id)
    engine.dispose()
    assert len(endings) == 5
    assert endings == totals.endings
    assert_comes_to(document, totals)
    assert not list(tmp_path.glob("kept/*.db*")), "nothing may be kept elsewhere"


def test_rows_of_an_earlier_round_are_refused_unless_they_may_be_deleted(databases: dict[str, str]) -> None:
    """One database for all five services does too: their tables have different names."""
    names = [name for name in databases if name != "TRIPS_DATABASE_URL"]  # trips are no part of the demo
    shared = dict.fromkeys(names, databases["ORDERS_DATABASE_URL"])
    run_demo(COUNT="12", **shared)
    refused = call_demo(COUNT="12", **shared)
    assert (refused.returncode, refused.stdout) == (2, "")
    told = refused.stderr.splitlines()
    assert told[0] == "ORDERS_DATABASE_URL: 12 rows are in the database already."
    assert [line.partition(":")[0] for line in told[:-1]] == names
    assert told[-1] == "A round begins with empty ones: EMPTY=1 deletes the rows, or name others."
    assert run_demo(COUNT="7", EMPTY="1", **shared)[1]["runs"]["total"] == 7


def test_a_wrong_password_is_told_in_a_sentence_without_it(databases: dict[str, str]) -> None:
    name = "SHIPPING_DATABASE_URL"
    wrong = make_url(databases[name]).set(password="geheim-7").render_as_string(hide_password=False)
    done = call_demo(COUNT="2", **(databases | {name: wrong}))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("The shipping service cannot open its database: ")
    assert 'password authentication failed for user "pavane"' in done.stderr
    assert f"{name} says where it is" in done.stderr
    assert "geheim-7" not in done.stderr
