"""Workers defined for a test, and the codes of what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pavane import DefinitionError, Service
from pavane.model.definition import WorkerDefinition


def unchanged(builder: Any) -> Any:
    return builder


def define(handler: Any, told: Callable[[Any], Any] = unchanged) -> WorkerDefinition:
    """The definition of `shop.worker` with this handler and what `told` tells its builder."""
    service = Service("shop")
    told(service.queue_worker("worker", "Works")).handler(handler)
    (definition,) = service.definitions
    return definition


def refusal(handler: Any, told: Callable[[Any], Any] = unchanged) -> list[str]:
    """The codes of everything that is refused about such a worker, in order."""
    with pytest.raises(DefinitionError) as caught:
        define(handler, told)
    assert all(problem.subject == "shop.worker" for problem in caught.value.problems)
    assert all(problem.file and problem.line for problem in caught.value.problems)
    return [problem.code for problem in caught.value.problems]
