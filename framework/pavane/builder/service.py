"""A service: a named group of workers that share resources."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, overload

from pavane.builder.choices import Slot
from pavane.builder.findings import Findings
from pavane.builder.worker_builder import R, WorkerBuilder
from pavane.model.definition import WorkerDefinition
from pavane.model.names import name_problem
from pavane.model.source import caller


class Service(Generic[R]):
    """A named group of workers.

    Args:
        name: `[a-z][a-z0-9_]*`, at most 63 characters; part of queue names.
        lifespan: a function without arguments that returns an async context manager; what that yields is
            every handler's `ctx.resources`. Entered once per process before consuming, left after the last
            handler. Without it the service is a `Service[None]`.

    Raises:
        DefinitionError: `bad_name`, or `bad_value` for the lifespan.
    """

    @overload
    def __init__(self: Service[None], name: str, description: str = "") -> None: ...

    @overload
    def __init__(
        self, name: str, description: str = "", *, lifespan: Callable[[], AbstractAsyncContextManager[R]]
    ) -> None: ...

    def __init__(
        self,
        name: str,
        description: str = "",
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[R]] | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.lifespan = lifespan
        self.place = caller()
        self._slots: list[Slot] = []
        findings = Findings(str(name), self.place)
        if wrong := name_problem(name):
            findings.add("bad_name", wrong, remedy="Take a name such as inventory.")
        _check_lifespan(lifespan, findings)
        findings.raise_all()

    def queue_worker(self, name: str, description: str = "") -> WorkerBuilder[R]:
        """Begin a worker; the builder that comes back has to be finished with a handler.

        Args:
            name: `[a-z][a-z0-9_]*`, at most 63 characters; the worker is called `service.name` everywhere.
        """
        slot = Slot(service=self.name, name=name, description=description, place=caller())
        self._slots.append(slot)
        findings = Findings(slot.full_name, slot.place)
        if wrong := name_problem(name):
            findings.add("bad_name", wrong, remedy="Take a name such as reserve_stock.")
        return WorkerBuilder(slot, problems=tuple(findings.problems))

    @property
    def definitions(self) -> tuple[WorkerDefinition, ...]:
        """The definitions of its finished workers, in the order they were begun."""
        return tuple(definition for slot in self._slots for definition in slot.definitions)

    @property
    def unfinished(self) -> tuple[Slot, ...]:
        """Workers that were begun and have no handler."""
        return tuple(slot for slot in self._slots if not slot.definitions)

    def __repr__(self) -> str:
        return f"<Service {self.name}>"


def _check_lifespan(lifespan: Any, findings: Findings) -> None:
    if lifespan is not None and not callable(lifespan):
        findings.add("bad_value", "lifespan has to be a function that returns an async context manager.")
    if inspect.isasyncgenfunction(lifespan):
        findings.add("bad_value", "lifespan yields.", remedy="Decorate it with @asynccontextmanager.")
