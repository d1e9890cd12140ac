"""The client: start runs, bring events in, look at what became of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from pavane.client import sending
from pavane.client.connection import close_pair, connect, open_pair
from pavane.client.dead_letters import DeadLetters
from pavane.client.listing import Listing
from pavane.client.means import Means
from pavane.client.queue_figures import queue_figures
from pavane.client.results import result_of, run_asked_for
from pavane.client.run_handle import Ended, RunHandle, polling
from pavane.client.run_listing import list_runs
from pavane.core.calls import Start
from pavane.core.identity import digest, keyed_event_id, run_key
from pavane.errors import UsageError
from pavane.model.event import Event, RawEvent
from pavane.model.later import LaterClient, in_calls
from pavane.model.views import QueueInfo, RunStatus
from pavane.model.workflow import AttributeValue, Workflow
from pavane.ports.broker import Broker
from pavane.ports.clock import Clock
from pavane.ports.store import Store
from pavane.runtime.catalog import contract_of
from pavane.runtime.clock import SystemClock
from pavane.runtime.crash_points import from_environment
from pavane.runtime.outbox import GATHER_FOR
from pavane.settings import Settings

S = TypeVar("S", bound=Event)
C = TypeVar("C", bound=Event)


class Client(LaterClient):
    """Starts runs and looks at them. An async context manager.

    Args:
        settings: `None`: from the environment. Both URLs are needed.

    Raises:
        SettingsError: a URL is missing (when it is entered).
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._means: Means | None = None
        self._owned: tuple[Store, Broker] | None = None
        self._ended: Ended | None = None

    @classmethod
    def over(
        cls,
        store: Store,
        broker: Broker,
        *,
        settings: Settings,
        clock: Clock,
        random_bytes: Callable[[int], bytes] = os.urandom,
        ended: Ended | None = None,
        gather_for: float = 0.0,
    ) -> Self:
        """A client on a store and a broker that somebody else has opened and will close: an App, a Harness.

        Args:
            clock: what waiting is measured by.
            ended: how to wait for the end of a run; `None`: look at its record now and then.
            gather_for: seconds that marks wait for others; 0 where a call costs no round trip.
        """
        client = cls(settings)
        client._use(Means(store, broker, settings, clock, random_bytes, gather_for=gather_for), ended)
        return client

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            SettingsError: a URL is missing.
            BrokerUnavailable, StateUnavailable: nothing answers, or the credentials are refused.
        """
        if self._means is None:
            self._owned = connect(self._settings)
            await open_pair(*self._owned)
            means = Means(
                *self._owned,
                self._settings,
                SystemClock(),
                gather_for=GATHER_FOR,
                passed=from_environment(),
            )
            self._use(means, None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._means is not None:
            await self._means.drain()
        if self._owned is not None:
            await close_pair(*self._owned)
            self._owned = self._means = None

    def _use(self, means: Means, ended: Ended | None) -> None:
        self._means = means
        self._ended = ended or polling(means)

    def _open(self) -> tuple[Means, Ended]:
        if self._means is None or self._ended is None:
            raise UsageError(
                "This client is not connected.", remedy="Use it inside `async with Client() as client:`."
            )
        return self._means, self._ended

    # starting and emitting

    async def start(
        self,
        workflow: Workflow[S, C],
        event: S,
        *,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> RunHandle[C]:
        """Start a run, or attach to the one that has this id.

        It returns once the run is recorded; from then on the workers' relay publishes the starting event if
        this call could not.

        Args:
            event: of the workflow's `starts_with`.
            attributes: refused, this version cannot do them yet.

        Raises:
            UsageError: another event, one that cannot be written as JSON, or a run id that is none.
            TooLarge: the event is over `settings.max_body`.
            StateUnavailable: the outcome is unknown. Starting again is harmless with a `run_id`.
        """
        means, ended = self._open()
        if attributes is not None:
            raise in_calls("attributes=")
        if type(event) is not workflow.starts_with:
            raise UsageError(
                f"{workflow.name} starts with {workflow.starts_with.__qualname__}, "
                f"not with {type(event).__qualname__}."
            )
        row = sending.event_row(means, event, means.new_id())
        run_id = workflow.run_id_of(event, row.id)
        record = run_key(workflow.name, run_id)
        started = await means.store.start(
            Start(
                record=record,
                run_id=run_id,
                contract=contract_of(workflow, means.settings),
                event=row,
                digest=digest(row.payload),
                by=means.settings.actor,
            )
        )
        await means.publish(record, started.rows)
        return RunHandle(
            means,
            workflow.name,
            run_id,
            read_result=result_of(workflow),
            ended=ended,
            created=started.created,
        )

    async def emit(
        self,
        event: Event,
        *,
        run: RunHandle[Any] | str | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Bring an event in from outside.

        Without `run` it belongs to no run, unless it starts one: it is published, and the call returns when
        RabbitMQ has confirmed it. With `run` it is written into the run's record first.

        Args:
            run: a handle, or the full name.
            idempotency_key: the same key gives the same event id, so receivers take it once.

        Returns:
            The event's id.

        Raises:
            UsageError: no event that can be emitted, or no name of a run.
            TooLarge: the event is over `settings.max_body`.
            RunNotFound: there is no such run.
            ActionRefused: the run is no longer running.
            BrokerUnavailable: not confirmed; it may still arrive.
        """
        means, _ = self._open()
        event_id = means.new_id() if idempotency_key is None else keyed_event_id(idempotency_key)
        row = sending.event_row(means, event, event_id)
        if run is None:
            await sending.emit_outside(means, row)
        else:
            await sending.emit_into(means, row, run.run if isinstance(run, RunHandle) else run)
        return row.id

    # looking

    @property
    def dead_letters(self) -> DeadLetters:
        """The dead letters: `list`, `get`, `redrive`, `discard`."""
        return DeadLetters(self._open()[0])

    @overload
    def run(self, run: str) -> RunHandle[RawEvent]: ...

    @overload
    def run(self, workflow: Workflow[Any, C], run_id: str) -> RunHandle[C]: ...

    def run(self, *given: Any, **named: Any) -> RunHandle[Any]:
        """A handle of one run: `run("order_fulfilment:10248")`, or `run(order_fulfilment, "10248")`.

        Nobody is asked; a run that does not exist shows at the first call of the handle.

        Raises:
            UsageError: no such name can exist.
        """
        means, ended = self._open()
        asked = run_asked_for(*given, **named)
        return RunHandle(means, asked.workflow, asked.run_id, read_result=asked.read_result, ended=ended)

    def runs(
        self,
        *,
        status: str | Sequence[str] | None = None,
        workflow: str | None = None,
        state: str | None = None,
        waiting_for: str | None = None,
        parent: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, AttributeValue | Sequence[AttributeValue]] | None = None,
        order_by: str = "-started_at",
    ) -> Listing[RunStatus]:
        """Runs that match everything given.

        Args:
            status: one or several of the statuses of a run.
            workflow: a workflow's name.
            waiting_for: what it waits for: `timer`, `retry`, `dead_letter`, `undo_stuck`, ...
            since, until: of their start, aware; `since` included, `until` excluded.
            order_by: `-started_at` (latest first) or `started_at`.
            state, parent, where, and order by anything else: refused, this version cannot do them yet.

        Raises:
            UsageError: a value that cannot be meant, or is not there yet.
        """
        means, _ = self._open()
        for what, asked in (("state=", state), ("parent=", parent), ("where=", where)):
            if asked is not None:
                raise in_calls(what)
        if order_by not in ("started_at", "-started_at"):
            raise in_calls(f"order_by={order_by!a:.80}")
        return list_runs(
            means,
            statuses=(status,) if isinstance(status, str) else tuple(status or ()),
            workflow=workflow,
            waiting_for=waiting_for,
            since=since,
            until=until,
            newest_first=order_by == "-started_at",
        )

    async def queues(self) -> list[QueueInfo]:
        """How full the queues of the registered services are: workers', undo queues, intakes.

        `None` is what AMQP does not tell. With `settings.management_url` unacknowledged messages and rates are
        asked for too; if nobody answers there, a warning in the log says so.

        Raises:
            BrokerUnavailable, StateUnavailable: a server does not answer.
        """
        means, _ = self._open()
        return await queue_figures(means)
