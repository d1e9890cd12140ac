"""Breadth first through everything that can happen: the first broken promise has few faults and a short story."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.ledger import Broken
from tests.model.promises import Promises
from tests.model.system import State, System


@dataclass(frozen=True)
class Counterexample:
    """A story that ends in a broken promise."""

    promise: str
    story: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{number:3}. {line}" for number, line in enumerate(self.story, 1)]
        return "\n".join([*lines, f"     => {self.promise}"])


@dataclass(frozen=True)
class Explored:
    """How far the exploration came, and the counterexample it ended with, if any."""

    states: int
    records: int
    ends: int
    counterexample: Counterexample | None


def explore(system: System, promises: Promises, start: State, faults: int) -> Explored:
    """Visit every state that up to `faults` faults can lead to, and judge each."""
    journey = Journey(system, promises)
    broken = journey.through(start, faults)
    return Explored(len(journey.states), len(system.ledger.records), len(journey.ends), broken)


class Journey:
    """States by number, in the order of their first visit, and how each was reached."""

    def __init__(self, system: System, promises: Promises) -> None:
        self.system = system
        self.promises = promises
        self.states: list[State] = []
        self.ends: list[int] = []
        self._numbers: dict[State, int] = {}
        self._came_from: list[tuple[int, str]] = []
        self._before: list[list[int]] = []
        self._judged: dict[tuple[int, ...], str] = {}
        self._later: list[tuple[State, int, str]] = []

    def through(self, start: State, faults: int) -> Counterexample | None:
        """Each state must keep the promises, and be able to settle without another fault.

        States are visited in the order of the faults that they need: whatever can go wrong after more faults
        can go wrong after fewer, so one visit is enough.
        """
        self._visit(start, -1, "")
        here = 0
        for left in range(faults, -1, -1):
            while here < len(self.states):
                broken = self._look(here, faults=left > 0)
                if broken is not None:
                    return broken
                here += 1
            due, self._later = self._later, []
            for state, source, label in due:
                self._visit(state, source, label)
        lost = self._never_settling()
        return None if lost is None else self._story("from here on it can never settle", lost)

    def _look(self, here: int, *, faults: bool) -> Counterexample | None:
        """Judge a state and find its neighbours: those without a fault now, the others when their turn comes."""
        state = self.states[here]
        label = ""
        stuck = True
        try:
            unsettled = self._judge(state)
            for label, after, free in self.system.moves(state, faults=faults):
                self.promises.moved(state[0], after[0])
                if not free:
                    self._later.append((after, here, label))
                    continue
                number = self._visit(after, here, label)
                if number != here:
                    stuck = False
                    self._before[number].append(here)
        except Broken as broken:
            return self._story(str(broken), here, label)
        if not unsettled:
            self.ends.append(here)
        elif stuck:
            return self._story(f"nothing moves any more: {unsettled}", here)
        return None

    def _visit(self, state: State, source: int, label: str) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self.states)
            self.states.append(state)
            self._came_from.append((source, label))
            self._before.append([])
        return number

    def _judge(self, state: State) -> str:
        """Check a state, and say why it is not yet an end (empty: it is one). What looks alike is judged once."""
        looks = self.system.looks(state)
        found = self._judged.get(looks)
        if found is None:
            view = self.system.view(looks)
            self.promises.hold(view)
            found = self._judged[looks] = self.promises.settled(view)
        return found

    def _never_settling(self) -> int | None:
        """The first state from which no end can be reached without another fault."""
        reaching = bytearray(len(self.states))
        todo = list(self.ends)
        for number in self.ends:
            reaching[number] = 1
        while todo:
            for number in self._before[todo.pop()]:
                if not reaching[number]:
                    reaching[number] = 1
                    todo.append(number)
        lost = reaching.find(0)
        return None if lost < 0 else lost

    def _story(self, broken: str, at: int, last: str = "") -> Counterexample:
        story = [last] if last else []
        while at > 0:
            at, label = self._came_from[at]
            story.append(label)
        return Counterexample(broken, tuple(reversed(story)))
