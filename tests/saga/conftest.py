"""Each test of this folder is played on the pair in memory, and on real servers."""

from __future__ import annotations

import pytest

from tests.saga.scene import SetUp, in_memory, on_servers

PLACES = ["memory", "servers"]


@pytest.fixture(params=PLACES)
def set_up(request: pytest.FixtureRequest) -> SetUp:
    """Opens a scene for an app."""
    if request.param == "memory":
        return in_memory
    rabbit, redis = request.getfixturevalue("rabbit"), request.getfixturevalue("redis_server")
    return lambda app: on_servers(app, rabbit, redis)
