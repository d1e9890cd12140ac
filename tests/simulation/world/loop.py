"""An event loop whose time jumps to the next timer when nothing is left to do, and whose order is drawn from a seed.

Each callback belongs to an owner, the machine whose code it is, found in its context. A machine that is dead gets no
turn any more, between any two awaits; one that is frozen gets them later.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")

MOST_TURNS: Final = 400_000
"""Callbacks at one moment of virtual time after which it is said that this never ends."""


class Owner:
    """Whose code runs: a machine, or a person.

    Attributes:
        alive: `False`: it gets no turn any more.
        frozen: what it has to do waits in `parked`.
        skew: milliseconds that its clock is ahead.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.skew = 0
        self.parked: list[asyncio.Handle] = []
        self.context = copy_context()
        self.context.run(OWNER.set, self)


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)
"""`None`: the world's own: servers, the wire, the nemesis."""

WORLD: Final[Context] = Context()


class Task(asyncio.Task[T]):
    """A task that sets and dictionaries know by its number, so that they have the same order in every process."""

    _serial = 0

    def __init__(self, *args: Any, **named: Any) -> None:
        Task._serial += 1
        self._number = Task._serial
        super().__init__(*args, **named)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class NeverEnds(Exception):
    """Callbacks go on without time passing, or nothing is left to wait for."""


class WorldLoop(asyncio.BaseEventLoop):
    """See the module.

    Attributes:
        turns: callbacks that ran.
        strays: exceptions that nobody handled.
    """

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._ready: list[asyncio.Handle] = []
        self._scheduled: list[asyncio.TimerHandle] = []
        self._now = 0.0
        self._chance = random.random
        self._turns_now = 0
        self._graves: list[asyncio.Handle] = []
        self.turns = 0
        self.strays: list[dict[str, Any]] = []
        self.over = False
        self.set_task_factory(self._task)
        self.set_exception_handler(lambda _, context: self.strays.append(context))

    def time(self) -> float:
        return self._now

    @staticmethod
    def _task(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], context: Context | None = None
    ) -> asyncio.Task[T]:
        return Task(work, loop=loop, context=context)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Without the checks of other loops; a world that is over takes nothing more."""
        handle = asyncio.Handle(callback, args, self, context)
        if not self.over:
            self._ready.append(handle)
        return handle

    def call_soon_threadsafe(self, *args: Any, **named: Any) -> asyncio.Handle:
        raise AssertionError("there are no threads in a world")

    def run_in_executor(self, *args: Any, **named: Any) -> Any:
        raise AssertionError("there are no threads in a world")

    def thaw(self, owner: Owner) -> None:
        """Give a frozen owner its turns again, those it has missed first."""
        owner.frozen = False
        missed, owner.parked = owner.parked, []
        self._ready.extend(missed)

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            self._jump()
        chosen = int(self._chance() * len(ready))
        handle = ready[chosen]
        ready[chosen] = ready[-1]
        ready.pop()
        if handle._cancelled:  # type: ignore[attr-defined]
            return
        owner: Owner | None = handle._context.get(OWNER)  # type: ignore[attr-defined]
        if owner is not None and not owner.alive:
            # Kept, because what a coroutine does when it is thrown away would be done at any time.
            self._graves.append(handle)
            return
        if owner is not None and owner.frozen:
            owner.parked.append(handle)
            return
        self.turns += 1
        self._turns_now += 1
        if self._turns_now > MOST_TURNS:
            raise NeverEnds(f"{MOST_TURNS} turns at {self._now:.3f} s, the last one of {handle!r:.300}")
        handle._run()  # type: ignore[attr-defined]

    def _jump(self) -> None:
        """Let time pass until something is due."""
        scheduled = self._scheduled
        while scheduled and not self._ready:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            if not timer._cancelled:  # type: ignore[attr-defined]
                if timer.when() > self._now:
                    self._now = timer.when()
                    self._turns_now = 0
                self._ready.append(timer)
        while scheduled and scheduled[0].when() <= self._now:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(timer)
        if not self._ready:
            raise NeverEnds("nothing is left to wait for")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""


def as_world(call: Callable[..., T], *args: Any) -> T:
    """Call something as the world's own, so that what it schedules lives on when its caller is killed."""
    return call(*args) if OWNER.get() is None else WORLD.run(call, *args)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, run as the world's own."""
    try:
        as_world(work.send, None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    raise AssertionError(f"{work} waits")
