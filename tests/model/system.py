"""Two processes, a broker, a relay and time: everything that can happen next in a state.

A state is seven small numbers. Messages, processes, seen events and undone jobs are kept in tables, so that
comparing and hashing a state costs little; `view` puts the values back.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

from pavane.core.record import JobKind
from tests.model.ledger import Ledger
from tests.model.likeness import NOW
from tests.model.moves import IDLE, Effect, Message, Process
from tests.model.protocol import Protocol

T = TypeVar("T", bound=Hashable)

COPIES = 2
"""As many equal messages as the broker keeps apart; a third changes nothing that two do not."""

State = tuple[int, int, int, int, int, int, int]
"""Record, messages, two processes (the smaller number first: they are alike), seen, undone, redrives left."""


class Move(NamedTuple):
    """A step of the exploration; what is not free is a fault, and need not happen."""

    label: str
    state: State
    free: bool = True


class View(NamedTuple):
    """A state with its values.

    Attributes:
        messages: a sorted multiset: what lies in queues, on the wheel and in the dead-letter queue.
        held: deliveries that processes hold and that would go back.
        seen: ids of all events that ever reached the broker.
        undone: jobs in the order in which their undos were committed.
    """

    record: int
    messages: tuple[Message, ...]
    held: tuple[Message, ...]
    seen: frozenset[str]
    undone: tuple[int, ...]
    busy: bool


class Table(Generic[T]):
    """Values by number."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found


class System:
    """All moves of all states."""

    def __init__(
        self, ledger: Ledger, protocol: Protocol, *, relay: bool = True, orders: tuple[str, ...] = ()
    ) -> None:
        self.ledger = ledger
        self.orders = orders
        self.protocol = protocol
        self.relay = relay
        self.messages: Table[tuple[Message, ...]] = Table()
        self.processes: Table[Process] = Table()
        self.seen: Table[frozenset[str]] = Table()
        self.undone: Table[tuple[int, ...]] = Table()
        self.idle = self.processes.number(IDLE)
        self._holds: dict[int, int] = {}
        self._effects: dict[tuple[int, int], list[tuple[Effect, int]]] = {}
        self._sent: dict[tuple[int, tuple[Message, ...]], int] = {}
        self._taken: dict[tuple[int, int], list[tuple[Effect, int, int, bool]]] = {}
        self._turned: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
        self._leases: dict[int, list[tuple[int, JobKind, int, int]]] = {}

    def start(
        self,
        record: int,
        messages: tuple[Message, ...],
        seen: frozenset[str] = frozenset(),
        redrives: int = 0,
    ) -> State:
        """Two idle processes, and what lies in the broker."""
        lying = self.messages.number(tuple(sorted(messages)))
        none = self.undone.number(())
        return record, lying, self.idle, self.idle, self.seen.number(seen), none, redrives

    def looks(self, state: State) -> tuple[int, ...]:
        """What a view shows, in numbers: states that look alike keep the same promises."""
        record, lying, one, two, seen, undone, _ = state
        first, second = self.holds(one), self.holds(two)
        held = (first, second) if first < second else (second, first)
        return record, lying, *held, seen, undone, one == two == self.idle

    def view(self, looks: tuple[int, ...]) -> View:
        record, lying, first, second, seen, undone, idle = looks
        return View(
            record,
            self.messages.values[lying],
            (*self.messages.values[first], *self.messages.values[second]),
            self.seen.values[seen],
            self.undone.values[undone],
            not idle,
        )

    def holds(self, process: int) -> int:
        found = self._holds.get(process)
        if found is None:
            held = self.protocol.held(self.processes.values[process])
            found = self._holds[process] = self.messages.number(held)
        return found

    # what can happen next

    def moves(self, state: State, *, faults: bool) -> Iterator[Move]:
        one, two = state[2], state[3]
        yield from self.moves_of(state, one, two, faults)
        if one != two:
            yield from self.moves_of(state, two, one, faults)
        yield from self.leases_end(state, faults)
        for label, record, lying in self.turned(state[0], state[1]):
            yield Move(label, (record, lying, *state[2:]))
        if self.relay:
            yield from self.tick(state, faults)
        yield from self.ordered(state, faults)

    def moves_of(self, state: State, process: int, other: int, faults: bool) -> Iterator[Move]:
        record, lying = state[0], state[1]
        if process == self.idle:
            for effect, after, left, is_redrive in self.taken(record, lying):
                if (state[6] or not is_redrive) and (faults or not effect.fault):
                    yield self.done(state, effect, after, other, left)
            return
        for effect, after in self.effects(record, process):
            if faults or not effect.fault:
                yield self.done(state, effect, after, other, lying)

    def done(self, state: State, effect: Effect, after: int, other: int, lying: int) -> Move:
        """The state after a process's move; `lying` is in the broker but for what the move sends."""
        seen, undone, redrives = state[4:]
        if effect.seen:
            seen = self.seen.number(self.seen.values[seen].union(effect.seen))
        if effect.undone >= 0:
            undone = self.undone.number((*self.undone.values[undone], effect.undone))
        if effect.sent:
            lying = self.sent(lying, effect.sent)
        one, two = (after, other) if after < other else (other, after)
        new = effect.record, lying, one, two, seen, undone, redrives - effect.redriven
        return Move(effect.label, new, not effect.fault)

    def leases_end(self, state: State, faults: bool) -> Iterator[Move]:
        """A lease runs out; while its holder lives that is a fault."""
        record = state[0]
        processes = self.processes.values[state[2]], self.processes.values[state[3]]
        for job, kind, token, over in self.leases(record):
            held = any((one.token, one.job, one.kind) == (token, job, kind) for one in processes)
            label = f"the lease of {self.ledger.jobs[job].worker} ({kind}, token {token}) runs out"
            if not held:
                yield Move(label, (over, *state[1:]))
            elif faults:
                yield Move(f"FAULT: {label} while its holder lives", (over, *state[1:]), False)

    def ordered(self, state: State, faults: bool) -> Iterator[Move]:
        """Operators: what they do counts as a fault, for nobody may wait for it; but who pauses a run resumes it."""
        record = state[0]
        if self.ledger.records[record].head.paused_at:
            yield Move("somebody resumes the run", (self.ledger.order(record, "resume"), *state[1:]))
        for order in self.orders if faults else ():
            after = self.ledger.order(record, order)
            if after != record:
                yield Move(f"somebody's order: {order}", (after, *state[1:]), False)

    def tick(self, state: State, faults: bool) -> Iterator[Move]:
        """The relay: review, publish, mark; it may die before the mark."""
        record, lying, one, two, seen, undone, redrives = state
        reviewed, rows = self.ledger.tick(record)
        if reviewed == record and not rows:
            return
        for row in rows:
            sent, events = self.protocol.delivered(row, self.ledger.released(reviewed, row))
            lying = self.sent(lying, sent)
            seen = self.seen.number(self.seen.values[seen].union(events))
        what = ", ".join(rows) or "nothing"
        if faults and rows:
            killed = reviewed, lying, one, two, seen, undone, redrives
            yield Move(f"FAULT: the relay publishes {what} and is killed", killed, False)
        marked = self.ledger.mark(reviewed, rows) if rows else reviewed
        after = marked, lying, one, two, seen, undone, redrives
        yield Move(f"the relay reviews the record and publishes {what}", after)

    # worked out once

    def effects(self, record: int, process: int) -> list[tuple[Effect, int]]:
        found = self._effects.get((record, process))
        if found is None:
            effects = self.protocol.effects(record, self.processes.values[process])
            found = [(effect, self.processes.number(effect.process)) for effect in effects]
            self._effects[record, process] = found
        return found

    def sent(self, lying: int, more: tuple[Message, ...]) -> int:
        found = self._sent.get((lying, more))
        if found is None:
            messages = self.messages.values[lying]
            for message in more:
                if messages.count(message) < COPIES:
                    messages = tuple(sorted((*messages, message)))
            found = self._sent[lying, more] = self.messages.number(messages)
        return found

    def taken(self, record: int, lying: int) -> list[tuple[Effect, int, int, bool]]:
        """What an idle process may take and begin: the effect, the process then, what is left, if it redrives.

        Redrives are few; a letter of a generation that is over is cleaned up by any pass.
        """
        found = self._taken.get((record, lying))
        if found is None:
            found = []
            messages = self.messages.values[lying]
            for message in dict.fromkeys(messages):
                process = self.protocol.take(message)
                if process is not None:
                    work = self.ledger.work(self.ledger.records[record], message.job, message.kind)
                    over = work is not None and work.generation > message.generation
                    left = self.messages.number(without(messages, message))
                    is_redrive = message.place == "letters" and not over
                    for effect, after in self.effects(record, self.processes.number(process)):
                        found.append((effect, after, left, is_redrive))
            self._taken[record, lying] = found
        return found

    def turned(self, record: int, lying: int) -> list[tuple[str, int, int]]:
        """The wheel delivers a message: its time has come, and that of its job if it is no old copy."""
        found = self._turned.get((record, lying))
        if found is None:
            found = []
            messages = self.messages.values[lying]
            for message in dict.fromkeys(messages):
                if message.place != "wheel":
                    continue
                work = self.ledger.work(self.ledger.records[record], message.job, message.kind)
                old = work is None or work.generation > message.generation
                after = record if old else self.ledger.elapse(record, message.job, message.kind)
                left = self.messages.number(without(messages, message))
                queued = self.sent(left, (message._replace(place="queue"),))
                found.append((f"the wheel delivers {self.protocol.say(message)}", after, queued))
            self._turned[record, lying] = found
        return found

    def leases(self, record: int) -> list[tuple[int, JobKind, int, int]]:
        """Leases that still run, each with its token and the record in which it is over."""
        found = self._leases.get(record)
        if found is None:
            found = []
            kinds: tuple[JobKind, ...] = ("step", "undo")
            for job in range(len(self.ledger.jobs)):
                for kind in kinds:
                    work = self.ledger.work(self.ledger.records[record], job, kind)
                    if work is not None and work.token and work.lease_until > NOW:
                        found.append((job, kind, work.token, self.ledger.expire(record, job, kind)))
            self._leases[record] = found
        return found


def without(messages: tuple[Message, ...], message: Message) -> tuple[Message, ...]:
    left = list(messages)
    left.remove(message)
    return tuple(left)
