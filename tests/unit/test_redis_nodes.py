"""What PAVANE_STATE_URL may say, and what it means."""

from __future__ import annotations

import pytest

from pavane.adapters.redis.nodes import locate
from pavane.errors import SettingsError


def test_one_server() -> None:
    found = locate("rediss://operator-1:s3cret@redis.example:7/2?ssl_ca_certs=/ca.pem")
    assert (found.kind, found.nodes, found.tls) == ("one", (("redis.example", 7),), True)
    assert found.options == {
        "username": "operator-1", "password": "s3cret", "db": 2, "ssl_ca_certs": "/ca.pem",
    }  # fmt: skip
    assert found.place == "redis.example:7, database 2"


def test_sentinels_name_the_master() -> None:
    found = locate(
        "redis+sentinel://:s3cret@one/main/3?sentinel_password=t0psecret, redis+sentinel://two:7/main"
    )
    assert (found.kind, found.nodes, found.master) == ("sentinel", (("one", 26379), ("two", 7)), "main")
    assert found.options == {"password": "s3cret", "db": 3}
    assert found.sentinel_options == {"password": "t0psecret"}
    assert found.place == "master main of the sentinels one:26379, two:7, database 3"


def test_a_cluster_is_known_by_some_of_its_nodes() -> None:
    found = locate("redis+cluster://one:7000,redis+cluster://two")
    assert (found.kind, found.nodes) == ("cluster", (("one", 7000), ("two", 6379)))
    assert found.place == "the cluster of one:7000, two:6379"


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ("redis://one:1,redis+cluster://two:2", "have to start alike"),
        ("redis://one:1,redis://two:2", "names several servers"),
        ("redis+sentinel://one:1", "ends with the name of the master"),
        ("redis+sentinel://one:1/main/first", "ends with the name of the master"),
        ("redis://one:port", "cannot be used"),
        ("redis://one:1/0?socket_timeout=long", "cannot be used"),
    ],
)
def test_what_means_nothing_is_refused(urls: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        locate(urls)
