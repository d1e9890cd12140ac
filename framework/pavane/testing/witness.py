"""What happened, as a test asks for it: events, attempts, statuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from pavane.client import views
from pavane.client.means import Means
from pavane.client.run_handle import RunHandle, read_run
from pavane.core.record import JobKind, Work
from pavane.errors import UsageError
from pavane.model.event import Event
from pavane.model.views import Attempt, RunStatus
from pavane.runtime.catalog import Catalog
from pavane.testing import told
from pavane.testing.clock import VirtualClock
from pavane.testing.observed import ObservedBroker, ObservedStore
from pavane.testing.stage import Stage

E = TypeVar("E", bound=Event)


class Witness:
    """Looks, and changes nothing."""

    def __init__(
        self,
        catalog: Catalog,
        means: Means,
        clock: VirtualClock,
        store: ObservedStore,
        broker: ObservedBroker,
        stage: Stage,
    ) -> None:
        self._catalog = catalog
        self._means = means
        self._clock = clock
        self._store = store
        self._broker = broker
        self._stage = stage

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return datetime.fromtimestamp(self._clock.now() / 1000, UTC)

    def events(self, event: type[E], *, run: RunHandle[Any] | str | None = None) -> list[E]:
        """Events of a type that were published, in order, each once; those that nobody subscribes to included.

        Args:
            run: only of this run: a handle, or the full name.

        Raises:
            UsageError: a class without a name.
        """
        if not event.event_name:
            raise UsageError(f"{event.__qualname__} has no name, so it is never published.")
        wanted = run.run if isinstance(run, RunHandle) else run
        found = told.published(self._broker.published, event, self._catalog)
        return [one for one, of_run in found if wanted in (None, of_run)]

    def calls(self, worker: str, *, undo: bool = False) -> list[Attempt]:
        """Every attempt of a worker (or of its undo), in order, of all runs; those that a fault met included.

        Raises:
            UsageError: no such worker, or it has no undo.
        """
        kind: JobKind = "undo" if undo else "step"
        noted = self._store.attempts_of(self._stage.known(worker, undo=undo), kind)
        return views.attempts(Work(attempts=noted))

    def assert_emitted(self, event: type[E], *, count: int | None = None, **fields: Any) -> list[E]:
        """The events of this type whose fields have these values.

        Args:
            count: how many there have to be; `None`: at least one.
            fields: a field of the event and its value.

        Raises:
            AssertionError: there are more or fewer.
            UsageError: the event has no such field.
        """
        for unknown in fields.keys() - set(event.model_fields):
            raise UsageError(f"{event.__qualname__} has no field {unknown}.")
        every = self.events(event)
        found = [one for one in every if all(getattr(one, name) == value for name, value in fields.items())]
        if (count is None and not found) or count not in (None, len(found)):
            raise AssertionError(told.not_as_many(event, count, fields, found, every))
        return found

    def assert_not_emitted(self, event: type[Event]) -> None:
        """Raises:
        AssertionError: such an event was published.
        """
        self.assert_emitted(event, count=0)

    async def assert_status(self, run: RunHandle[Any] | str, status: str) -> RunStatus:
        """The run as it is now, which has to be in this status.

        Args:
            run: a handle, or the full name.

        Raises:
            AssertionError: it is in another; with its history.
            RunNotFound: there is no such run.
        """
        name = run.run if isinstance(run, RunHandle) else run
        record = await read_run(self._means, name)
        present = views.run_status(record)
        if present.status != status:
            raise AssertionError(told.other_status(record, self.now, status))
        return present
