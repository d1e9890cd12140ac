"""An event loop whose time jumps to the next timer when nothing is left to do, and whose order is drawn from a seed.

Each callback belongs to an owner, the machine whose code it is, found in its context. A machine that is dead gets no
turn any more, between any two awaits; one that is frozen gets them later.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")

MOST_TURNS: Final = 100_000
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
        self.parked: list[Turn] = []
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


class Turn:
    """A callback that is to run: what `asyncio.Handle` and `TimerHandle` are elsewhere."""

    __slots__ = ("args", "at", "callback", "context", "is_cancelled")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None, at: float
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.at = at
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.at


class WorldLoop(asyncio.BaseEventLoop):
    """See the module.

    Attributes:
        turns: callbacks that ran.
        strays: exceptions that nobody handled.
        over: nothing happens any more.
    """

    _stopping: bool

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._due: list[Turn] = []
        self._timers: list[tuple[float, int, Turn]] = []
        self._asked = 0
        self._now = 0.0
        self._chance = random.random
        self._graves: list[Turn] = []
        self.turns = 0
        self.strays: list[dict[str, Any]] = []
        self.over = False
        self.set_task_factory(self._task)  # type: ignore[arg-type]
        self.set_exception_handler(lambda _, context: self.strays.append(context))

    def time(self) -> float:
        return self._now

    @staticmethod
    def _task(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], context: Context | None = None
    ) -> asyncio.Task[T]:
        return Task(work, loop=loop, context=context)

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        """A world that is over takes nothing more."""
        turn = Turn(callback, args, context, self._now)
        if not self.over:
            self._due.append(turn)
        return turn

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        turn = Turn(callback, args, context, when)
        self._asked += 1
        heapq.heappush(self._timers, (when, self._asked, turn))
        return turn

    async def sleep(self, seconds: float) -> None:
        """As `asyncio.sleep`, in fewer steps."""
        over = self.create_future()
        self.call_at(self._now + seconds, wake, over)
        await over

    def call_soon_threadsafe(self, *args: Any, **named: Any) -> Any:  # type: ignore[override]
        raise AssertionError("there are no threads in a world")

    def run_in_executor(self, *args: Any, **named: Any) -> Any:  # type: ignore[override]
        raise AssertionError("there are no threads in a world")

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any]) -> None:
        self.call_soon(self.create_task, agen.aclose())

    def thaw(self, owner: Owner) -> None:
        """Give a frozen owner its turns again, those it has missed first."""
        owner.frozen = False
        missed, owner.parked = owner.parked, []
        self._due.extend(missed)

    def bury(self) -> None:
        """Throw away what never got its turn; what dead coroutines do then concerns nobody."""
        self.over = True
        self._graves.clear()
        self._due.clear()
        self._timers.clear()

    def _run_once(self) -> None:
        due, chance, now_for = self._due, self._chance, 0
        while not self._stopping:
            if not due:
                self._jump()
                now_for = 0
            chosen = int(chance() * len(due))
            turn = due[chosen]
            due[chosen] = due[-1]
            due.pop()
            if turn.is_cancelled:
                continue
            context = turn.context
            owner: Owner | None = context.get(OWNER)
            if owner is not None and not owner.alive:
                # Kept, because what a coroutine does when it is thrown away would be done at any time.
                self._graves.append(turn)
                continue
            if owner is not None and owner.frozen:
                owner.parked.append(turn)
                continue
            self.turns += 1
            now_for += 1
            if now_for > MOST_TURNS:
                raise NeverEnds(
                    f"{MOST_TURNS} turns at {self._now:.3f} s, the last one of {turn.callback!r:.300}"
                )
            try:
                context.run(turn.callback, *turn.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self.strays.append({"message": f"in {turn.callback!r:.300}", "exception": error})

    def _jump(self) -> None:
        """Let time pass until something is due."""
        timers, due = self._timers, self._due
        while timers and not due:
            at, _, turn = heapq.heappop(timers)
            if not turn.is_cancelled:
                self._now = max(self._now, at)
                due.append(turn)
        while timers and timers[0][0] <= self._now:
            due.append(heapq.heappop(timers)[2])
        if not due:
            raise NeverEnds("nothing is left to wait for")


def wake(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def as_world(call: Callable[..., T], *args: Any) -> T:
    """Call something as the world's own, so that what it schedules lives on when its caller is killed."""
    return call(*args) if OWNER.get() is None else WORLD.run(call, *args)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, run as the world's own."""
    try:
        as_world(work.send, None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError(f"{work} waits")
