"""Drawing a choreography from a seed: plain values, so that a plan can be printed, compared and shrunk."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

How = Literal["step", "choose", "after", "cycle", "end", "tell", "watch"]
Exhausted = Literal["stall", "compensate", "answer"]

MOST_HOPS = 24
"""What `settings.max_hops` should be: a cycle without end comes to it soon."""

ENDLESS = 99
"""Rounds of a cycle that never gets so far: it comes to the limit of hops before, because no timer is in it."""

STARTED, COMPLETED, FAILED, TOLD = "load.started", "load.completed", "load.failed", "load.told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One worker.

    Attributes:
        how: what it does with its event: emits the next one, or one of several (`choose`); sets a timer (`after`);
            sends its own event round again (`cycle`); ends the run; tells afterwards (`tell`), or watches pavane's
            own events (`watch`).
        takes, emits: names of events; of a `choose` and a `cycle` the last is the way on.
        joins: it waits for all that it takes.
        fails: it may commit the run's failing event.
        delay: seconds of the timer, or of each round.
        laps: rounds of a cycle; more than there may be: it ends at the limit of hops.
        lease, timeout, pause: seconds; `pause` is that before the second attempt.
        attempts, prefetch: as in the builder.
        turns: how often it may begin in a second, 0: without limit; `own_turns`: each run for itself.
    """

    name: str
    service: str
    how: How
    takes: tuple[str, ...]
    emits: tuple[str, ...] = ()
    joins: bool = False
    fails: bool = False
    delay: float = 0.0
    laps: int = 0
    lease: float = 3.0
    timeout: float = 8.0
    step_timeout: float = 0.0
    pause: float = 0.25
    attempts: int = 3
    prefetch: int = 8
    undo: bool = False
    uncertain: bool = True
    exhausted: Exhausted = "stall"
    most_letters: int = 0
    turns: int = 0
    own_turns: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.service}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares of attempts that go wrong, by how."""

    fails: float = 0.0
    raises: float = 0.0
    retries: float = 0.0
    not_now: float = 0.0
    rejects: float = 0.0
    crashes: float = 0.0
    slow: float = 0.0
    undo_fails: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A choreography.

    Attributes:
        deadline: of a run in seconds, 0: none.
        parallel: undos run side by side.
    """

    seed: int
    works: tuple[Work, ...]
    rates: Rates = field(default_factory=Rates)
    deadline: float = 0.0
    parallel: bool = False

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(work.service for work in self.works))

    @property
    def undone(self) -> tuple[str, ...]:
        """Full names of the workers that have an undo."""
        return tuple(work.full_name for work in self.works if work.undo)


def draw_plan(seed: int) -> Plan:
    """The choreography of a seed."""
    return _Drawing(seed).plan()


class _Drawing:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._chance = Random(f"plan/{seed}")
        self._works: list[Work] = []
        self._events = 0
        self._services = [f"s{number}" for number in range(self._chance.choice((1, 2, 2, 3)))]

    def plan(self) -> Plan:
        chance = self._chance
        length = chance.choice((2, 3, 3, 4, 4, 5, 6, 8))
        event, steps = STARTED, 0
        while steps < length - 1:
            event, took = self._segment(event, length - 1 - steps)
            steps += took
        self._ending(event)
        if chance.random() < 0.5:
            self._add("tell", (COMPLETED, FAILED))
        if chance.random() < 0.25:
            self._add("watch", ("pavane.run_ended", "pavane.step_dead_lettered"))
        if chance.random() < 0.25:
            self._add("tell", (TOLD,))
        return Plan(
            seed=self._seed,
            works=tuple(self._works),
            rates=self._rates(),
            deadline=chance.choice((0.0, 0.0, 0.0, 15.0))
            and 15.0 + 2 * sum(work.delay for work in self._works),
            parallel=chance.random() < 0.4,
        )

    def _segment(self, event: str, room: int) -> tuple[str, int]:
        """Something that leads from an event to the next one; how many steps long it is."""
        kind = self._chance.random()
        if kind < 0.25 and room >= 2:
            return self._fan(event), 2
        if kind < 0.40 and room >= 2:
            return self._branch(event), 2
        if kind < 0.52:
            return self._step(event, "after", delay=self._chance.choice((0.5, 2.0, 10.0))), 1
        if kind < 0.62:
            return self._cycle(event), 1
        return self._step(event), 1

    def _step(self, event: str, how: How = "step", *, delay: float = 0.0) -> str:
        then = self._event()
        self._add(how, (event,), (then,), fails=self._chance.random() < 0.4, delay=delay)
        return then

    def _fan(self, event: str) -> str:
        """Several subscribers, and a join that waits for them all."""
        branches = [self._step(event) for _ in range(self._chance.choice((2, 2, 3)))]
        then = self._event()
        self._add("step", tuple(branches), (then,), joins=True)
        return then

    def _branch(self, event: str) -> str:
        """One of two ways, which meet again."""
        ways, then = (self._event(), self._event()), self._event()
        self._add("choose", (event,), ways)
        for way in ways:
            self._add("step", (way,), (then,), fails=self._chance.random() < 0.4)
        return then

    def _cycle(self, event: str) -> str:
        """In the rounds between, the event that comes back is one of its own."""
        again, then = self._event(), self._event()
        laps = self._chance.choice((1, 2, 3, ENDLESS if self._chance.random() < 0.2 else 2))
        delay = self._chance.choice((0.0, 0.0, 1.0)) if laps < ENDLESS else 0.0
        self._add("cycle", (event, again), (again, then), laps=laps, delay=delay)
        return then

    def _ending(self, event: str) -> None:
        """One worker that ends the run, or two that race to it."""
        for _ in range(2 if self._chance.random() < 0.2 else 1):
            self._add("end", (event,), (COMPLETED,), fails=self._chance.random() < 0.6)

    def _event(self) -> str:
        self._events += 1
        return f"load.e{self._events - 1}"

    def _add(
        self,
        how: How,
        takes: tuple[str, ...],
        emits: tuple[str, ...] = (),
        *,
        joins: bool = False,
        fails: bool = False,
        delay: float = 0.0,
        laps: int = 0,
    ) -> None:
        chance = self._chance
        exhausted: Exhausted = chance.choice(("stall", "stall", "compensate", "answer"))
        closing = how in ("tell", "watch")
        self._works.append(
            Work(
                name=f"w{len(self._works)}",
                service=chance.choice(self._services),
                how=how,
                takes=takes,
                emits=emits,
                joins=joins,
                fails=fails and not closing,
                delay=delay,
                laps=laps,
                lease=chance.choice((2.0, 3.0, 6.0)),
                timeout=chance.choice((4.0, 8.0)),
                step_timeout=chance.choice((0.0, 0.0, 0.0, 20.0)),
                pause=chance.choice((0.25, 0.5, 1.0)),
                attempts=chance.choice((2, 3, 4)),
                prefetch=chance.choice((1, 2, 8, 32)),
                undo=not closing and chance.random() < 0.6,
                uncertain=chance.random() < 0.7,
                exhausted="stall" if closing else exhausted,
                most_letters=chance.choice((0, 0, 0, 0, 0, 2)),
                turns=chance.choice((0, 0, 0, 0, 20 if how == "cycle" else 3, 20)),
                own_turns=chance.random() < 0.4 and not joins,
            )
        )

    def _rates(self) -> Rates:
        """Most plans know two or three ways to go wrong."""
        chance = self._chance

        def some(most: float) -> float:
            return chance.uniform(0, most) if chance.random() < 0.4 else 0.0

        return Rates(
            fails=chance.choice((0.0, 0.05, 0.2)),
            raises=some(0.4),
            retries=some(0.2),
            not_now=some(0.2),
            rejects=some(0.1),
            crashes=some(0.05),
            slow=some(0.3),
            undo_fails=some(0.5),
        )
