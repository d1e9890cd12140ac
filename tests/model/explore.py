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
    """Visit every state. Each must keep the promises, and be able to settle without another fault.

    States are visited in the order of the faults that they need: whatever can go wrong after more faults can
    go wrong after fewer, so one visit is enough.
    """
    numbers: dict[State, int] = {start: 0}
    states = [start]
    came_from: list[tuple[int, str]] = [(-1, "")]
    before: list[list[int]] = [[]]
    ends: list[int] = []
    judged: dict[tuple[int, ...], str] = {}
    later: list[tuple[State, int, str]] = []

    def explored(broken: str = "", at: int = 0, last: str = "") -> Explored:
        story = [last] if last else []
        while at > 0:
            at, label = came_from[at]
            story.append(label)
        found = Counterexample(broken, tuple(reversed(story))) if broken else None
        return Explored(len(states), len(system.ledger.records), len(ends), found)

    def visit(state: State, source: int, label: str) -> int:
        number = numbers.get(state)
        if number is None:
            number = numbers[state] = len(states)
            states.append(state)
            came_from.append((source, label))
            before.append([])
        return number

    here = 0
    for left in range(faults, -1, -1):
        while here < len(states):
            state = states[here]
            label = ""
            try:
                unsettled = judge(system, promises, state, judged)
                stuck = True
                for label, after, free in system.moves(state, faults=left > 0):
                    promises.moved(state[0], after[0])
                    if not free:
                        later.append((after, here, label))
                        continue
                    number = visit(after, here, label)
                    if number != here:
                        stuck = False
                        before[number].append(here)
            except Broken as broken:
                return explored(str(broken), here, label)
            if not unsettled:
                ends.append(here)
            elif stuck:
                return explored(f"nothing moves any more: {unsettled}", here)
            here += 1
        due, later = later, []
        for after, source, label in due:
            visit(after, source, label)
    for number in never_settling(before, ends):
        return explored("from here on it can never settle", number)
    return explored()


def judge(system: System, promises: Promises, state: State, judged: dict[tuple[int, ...], str]) -> str:
    """Check a state, and say why it is not yet an end (empty: it is one). What looks alike is judged once."""
    looks = system.looks(state)
    found = judged.get(looks)
    if found is None:
        view = system.view(looks)
        promises.hold(view)
        found = judged[looks] = promises.settled(view)
    return found


def never_settling(before: list[list[int]], ends: list[int]) -> list[int]:
    """States from which no end can be reached without another fault, nearest first."""
    reaching = bytearray(len(before))
    todo = list(ends)
    for number in ends:
        reaching[number] = 1
    while todo:
        for number in before[todo.pop()]:
            if not reaching[number]:
                reaching[number] = 1
                todo.append(number)
    return [number for number, reached in enumerate(reaching) if not reached]
