"""What services of different versions have written about themselves can be read by all of them."""

from __future__ import annotations

from pavane.adapters.redis.agreements import registration
from pavane.ports.store import Registration


def test_a_service_of_an_older_version_has_said_nothing_about_its_alerts_or_what_it_emits() -> None:
    stored = b'{"subscriptions": {"shop.pack": ["order.placed"]}, "workflows": {}}'
    assert registration("shop", stored) == Registration(
        service="shop", subscriptions={"shop.pack": ("order.placed",)}, workflows={}
    )


def test_what_a_newer_version_says_besides_is_left_aside() -> None:
    stored = b'{"subscriptions": {}, "workflows": {}, "alert_at": {"shop.pack": 3}, "mood": "good"}'
    assert registration("shop", stored).alert_at == {"shop.pack": 3}
