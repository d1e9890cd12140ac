"""The history of one run per ending, compared with what was read and found clear."""

from __future__ import annotations

import pytest

from tests.services.histories.scenes import SCENES, Scene
from tests.services.histories.told import FOLDER, file_of, history_of

ANEW = "`python -m tests.services.histories --write` prints it anew; read the difference"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_a_history_is_what_was_read(scene: Scene) -> None:
    assert await history_of(scene) == file_of(scene).read_text(), ANEW


async def test_no_file_is_left_over() -> None:
    assert {file.name for file in FOLDER.glob("*.txt")} == {file_of(scene).name for scene in SCENES}
