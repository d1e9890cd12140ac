"""Definitions that cannot be meant are refused with the problem's code, before anything runs."""

from __future__ import annotations

import pytest

from pavane import DefinitionError
from tests.bad_input import shop
from tests.bad_input.definitions import CASES, BadDefinition


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_bad_definition_is_refused_with_its_code(case: BadDefinition) -> None:
    with pytest.raises(DefinitionError) as refused:
        case.define()
    assert {problem.code for problem in refused.value.problems} == {case.code}
    assert all(problem.remedy for problem in refused.value.problems)
    assert shop.app.workers  # what was defined before is untouched
