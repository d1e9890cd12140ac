"""Every test of the services has databases of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.services.shop import Shop, open_shop


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the services keep their databases."""
    monkeypatch.setenv("DATA", str(tmp_path))
    for name in ("ORDERS", "INVENTORY", "PAYMENTS", "SHIPPING", "NOTIFICATIONS"):
        monkeypatch.delenv(f"{name}_DATABASE_URL", raising=False)
    monkeypatch.delenv("LATENCY", raising=False)
    return tmp_path


@pytest.fixture
async def shop(data: Path) -> AsyncGenerator[Shop, None]:
    """The five services on the harness, with `shop.SHELVES`."""
    async with open_shop() as shop:
        yield shop
