"""What the demo reads: its options, generated orders, and a folder of CSV files."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from services.demo.books import read_books
from services.demo.generated import generate
from services.demo.northwind import BadFile, read
from services.demo.options import BadOptions, Options
from tests.services.shop import open_shop

# options


def test_options_are_read_from_variables_in_upper_case(tmp_path: Path) -> None:
    given = {
        "ORDERS": str(tmp_path),
        "COUNT": "7",
        "SEED": "3",
        "DECLINE": "0.5",
        "REFUSE": "0.25",
        "LATENCY": "0.1",
        "RATE": "20",
        "ONE_AT_A_TIME": "1",
        "DATA": str(tmp_path / "data"),
        "EMPTY": "1",
        "JSON": "1",
        "PAVANE_BROKER_URL": "amqp://localhost",
        "PAVANE_STATE_URL": "redis://localhost",
    }
    assert Options.read(given) == Options(
        orders=tmp_path,
        count=7,
        seed=3,
        decline=0.5,
        refuse=0.25,
        latency=0.1,
        rate=20.0,
        one_at_a_time=True,
        data=tmp_path / "data",
        empty=True,
        json=True,
        on_servers=True,
    )


def test_nothing_set_is_the_default_and_zero_is_off() -> None:
    assert Options.read({}) == Options()
    assert Options.read({"JSON": "0", "ONE_AT_A_TIME": "", "RATE": "0"}) == Options()


def test_everything_wrong_is_told_at_once() -> None:
    given = {
        "ORDERS": "nowhere",
        "COUNT": "many",
        "DECLINE": "1.5",
        "RATE": "-1",
        "LATENCY": "nan",
        "PAVANE_STATE_URL": "redis://localhost",
    }
    with pytest.raises(BadOptions) as raised:
        Options.read(given)
    for name in (
        "ORDERS=nowhere",
        "COUNT=many",
        "DECLINE=1.5",
        "RATE=-1",
        "LATENCY=nan",
        "only PAVANE_STATE_URL",
    ):
        assert name in str(raised.value)


def test_shares_of_more_than_everything_are_refused() -> None:
    with pytest.raises(BadOptions, match="at most 1"):
        Options.read({"DECLINE": "0.6", "REFUSE": "0.6"})


# generated orders


def test_the_same_seed_gives_the_same_orders() -> None:
    assert generate(Options(seed=5)) == generate(Options(seed=5))
    assert generate(Options(seed=5)) != generate(Options(seed=6))


@pytest.mark.parametrize(
    ("decline", "refuse", "ending"), [(1, 0, "payment_declined"), (0, 1, "shipment_refused")]
)
async def test_a_share_of_one_is_all_of_them(decline: float, refuse: float, ending: str) -> None:
    wares = generate(Options(count=12, decline=decline, refuse=refuse))
    async with open_shop(*wares.products) as shop:
        for placed in wares.orders:
            await shop.place(placed)
        assert await statuses() == {ending: 12}


async def test_shares_of_nothing_leave_confirmed_and_unavailable_orders() -> None:
    wares = generate(Options(count=60, decline=0, refuse=0, seed=2))
    async with open_shop(*wares.products) as shop:
        for placed in wares.orders:
            await shop.place(placed)
        counts = await statuses()
    assert counts.keys() == {"confirmed", "discontinued", "out_of_stock"}
    assert counts["confirmed"] > 45


async def statuses() -> Counter[str]:
    return Counter(row.status for row in (await read_books()).orders.values())


# CSV files

PRODUCTS = """product_id,product_name,unit_price,units_in_stock,units_on_order,discontinued
1,Chai,18,39,0,1
2,Côte de Blaye,263.5,17,5,0
"""
ORDERS = """order_id,customer_id,freight,ship_name
1000,VINET,32.38,Späte
999,TOMSP,0,Frühe
"""
LINES = """order_id,product_id,unit_price,quantity,discount
999,2,263.5,2,0.05
1000,1,14.4,1,0
1000,2,10,3,0.25
"""


def write(folder: Path, *, products: str = PRODUCTS, orders: str = ORDERS, lines: str = LINES) -> Path:
    for name, text in {"products": products, "orders": orders, "order_details": lines}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_products_and_orders_are_read_and_orders_come_by_their_number(tmp_path: Path) -> None:
    wares = read(write(tmp_path))
    chai, cote = wares.products
    assert (chai.opening, chai.discontinued) == (390, True)
    assert (cote.name, cote.opening, cote.discontinued) == ("Côte de Blaye", 220, False)
    first, second = wares.orders
    assert (first.order_id, second.order_id) == ("999", "1000")
    assert [(line.product_id, line.quantity) for line in second.lines] == [("1", 1), ("2", 3)]
    assert first.lines[0].discount == Decimal("0.05")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"lines": LINES.replace(",2,0.05", ",no,0.05")},
            "order_details.csv, line 2: a value cannot be read",
        ),
        ({"lines": LINES.replace("0.25", "25")}, "order_details.csv, line 4: discount"),
        ({"orders": ORDERS.replace("freight", "weight")}, "orders.csv, line 2: there is no column 'freight'"),
        ({"orders": ORDERS.replace("32.38", "heavy")}, "orders.csv, line 2: a value cannot be read"),
        ({"products": PRODUCTS.replace("39", "")}, "products.csv, line 2: a value cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_line(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    with pytest.raises(BadFile) as raised:
        read(write(tmp_path, **files))
    assert said in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (write(tmp_path) / "products.csv").unlink()
    with pytest.raises(BadFile, match=r"products\.csv: No such file"):
        read(tmp_path)
