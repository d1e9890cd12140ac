"""A process kills itself with SIGKILL at each point of the protocol, another takes over, and nothing shows.

The cells of the matrix run side by side, each in a namespace of its own on shared servers; each test is one of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.matrix import MATRIX, Cell, missing, points_in_the_code
from tests.crash.player import Player
from tests.servers import RabbitServer, RedisServer


@pytest.fixture(scope="module")
def player(
    request: pytest.FixtureRequest,
    rabbit: RabbitServer,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Player]:
    """Plays, in a thread of its own, those cells whose tests were chosen."""
    folder = tmp_path_factory.mktemp("ledgers")
    player = Player(chosen_cells(request), rabbit.url, redis_server.url, folder)
    player.start()
    yield player
    player.finish()


def chosen_cells(request: pytest.FixtureRequest) -> list[Cell]:
    """The cells of those tests of this module that are to run."""
    cells: list[Cell] = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec"):
            cell = item.callspec.params["cell"]
            assert isinstance(cell, Cell)
            cells.append(cell)
    return cells


def test_every_point_that_the_code_passes_has_its_cells() -> None:
    assert missing(points_in_the_code()) == []


def test_a_point_without_a_cell_is_found() -> None:
    assert missing(points_in_the_code() | {("relay", "relay_lunch")}) == ["relay: relay_lunch"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cell", MATRIX, ids=lambda cell: cell.name)
@pytest.mark.fault("W1", "W2", "W3", "W4", "W5", "C4")
def test_a_process_that_dies_here_costs_nothing(cell: Cell, player: Player) -> None:
    player.outcomes[cell.name].result(timeout=280)
