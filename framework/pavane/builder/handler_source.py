"""Reads a handler's source for what its signature does not say: how it sends events, and whether it acts outside.

Nothing is run and nothing is guessed. What cannot be followed is left out (no source, an event made elsewhere, a
context handed to code that is not a plain function): nobody may conclude anything from what is missing.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import CellType, FunctionType, ModuleType
from typing import Any, Final

from pavane.model.event import Event
from pavane.model.source import Place

_MARKS: Final = ("idempotency_key", "fencing_token")
"""What a handler passes on so that an effect outside is not made twice, or not by the wrong one."""

_SENDS: Final = ("emit", "after")

_CONSTRUCTORS: Final = ("model_validate", "model_validate_json", "model_construct")


@dataclass(frozen=True, slots=True)
class Sending:
    """A call that sends an event of this class; `later`: by a timer."""

    event: type[Event]
    place: Place
    later: bool


@dataclass(slots=True)
class SourceReading:
    """What a handler's source says.

    Attributes:
        sendings: `ctx.emit(…)`, `ctx.after(…)`, and events that are made in a `return`.
        acts_outside: it passes its idempotency key or its fencing token on.
        returns_only: its source is there, and nothing in it can send an event but its `return` statements: the
            context is only asked, and handed to nobody.
    """

    sendings: list[Sending] = field(default_factory=list[Sending])
    acts_outside: bool = False
    returns_only: bool = False


def read_source(handler: Callable[..., Any]) -> SourceReading:
    """What the source of `handler` says, and that of the functions it hands its context to."""
    reading = SourceReading()
    try:
        names = list(inspect.signature(handler).parameters)
    except (TypeError, ValueError):
        names = []
    function = _plain(handler)
    if function is not None and names:
        _Reader(function, names[0], reading, seen=set(), is_handler=True).read()
    if function is not getattr(handler, "__func__", handler):
        reading.returns_only = False  # what is around it has not been read
    return reading


class _Reader:
    """Reads one function, in which the context goes by the name `context`."""

    def __init__(
        self,
        function: FunctionType,
        context: str,
        reading: SourceReading,
        *,
        seen: set[tuple[FunctionType, str]],
        is_handler: bool = False,
    ) -> None:
        self._function = function
        self._context = context
        self._reading = reading
        self._seen = seen
        self._is_handler = is_handler
        self._assigned: dict[str, list[ast.expr]] = {}

    def read(self) -> None:
        tree = _tree(self._function)
        if tree is None:
            return
        self._seen.add((self._function, self._context))
        nodes = [node for statement in tree.body for node in ast.walk(statement)]
        for node in nodes:
            self._note_assignment(node)
        for node in nodes:
            if isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Attribute) and node.attr in _MARKS and self._is_context(node.value):
                self._reading.acts_outside = True
        if self._is_handler:
            self._reading.returns_only = self._only_asks_context(nodes)
        for node in _own_returns(tree) if self._is_handler else ():
            for event in self._events_of(node.value):
                self._send(event, node, later=False)

    def _note_assignment(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            return
        for target in targets:
            if isinstance(target, ast.Name):
                self._assigned.setdefault(target.id, []).append(value)

    def _call(self, call: ast.Call) -> None:
        """`ctx.emit(…)` and `ctx.after(…)`; a function that is handed the context is read too."""
        called = call.func
        if isinstance(called, ast.Attribute) and self._is_context(called.value):
            if called.attr in _SENDS:
                self._sent_by(call, later=called.attr == "after")
            return
        handed = [index for index, argument in enumerate(call.args) if self._is_context(argument)]
        function = _plain(self._value_of(called)) if handed else None
        if function is None or inspect.ismethod(self._value_of(called)):
            return
        names = list(inspect.signature(function).parameters)
        if any(isinstance(argument, ast.Starred) for argument in call.args) or handed[-1] >= len(names):
            return
        for index in handed:
            if (function, names[index]) not in self._seen:
                _Reader(function, names[index], self._reading, seen=self._seen).read()

    def _sent_by(self, call: ast.Call, *, later: bool) -> None:
        position = 1 if later else 0
        given = call.args[position] if len(call.args) > position else None
        named = next((word.value for word in call.keywords if word.arg == "event"), None)
        for event in self._events_of(given or named):
            self._send(event, call, later=later)

    def _only_asks_context(self, nodes: list[ast.AST]) -> bool:
        """Whether its every use is `ctx.<name>` and no such name sends."""
        asked = [node for node in nodes if isinstance(node, ast.Attribute) and self._is_context(node.value)]
        used = [node for node in nodes if self._is_context(node)]
        return len(asked) == len(used) and all(node.attr not in _SENDS for node in asked)

    def _is_context(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self._context

    def _send(self, event: type[Event], node: ast.expr | ast.stmt, *, later: bool) -> None:
        code = self._function.__code__
        place = Place(code.co_filename, code.co_firstlineno + node.lineno - 1)
        self._reading.sendings.append(Sending(event, place, later))

    def _events_of(self, node: ast.expr | None) -> list[type[Event]]:
        """The classes of which the expression makes an event, as far as that can be seen."""
        if isinstance(node, ast.IfExp):
            return [*self._events_of(node.body), *self._events_of(node.orelse)]
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in _CONSTRUCTORS:
                called = called.value
            made = self._value_of(called)
            return [made] if isinstance(made, type) and issubclass(made, Event) else []
        if isinstance(node, ast.Name) and (values := self._assigned.pop(node.id, None)):
            # Taken out meanwhile: a name may be assigned from itself.
            found = [event for value in values for event in self._events_of(value)]
            self._assigned[node.id] = values
            return found
        return []

    def _value_of(self, node: ast.expr) -> Any:
        """What a name, or an attribute of one, stands for outside the function; `None` if it is a local one."""
        if isinstance(node, ast.Attribute):
            owner = self._value_of(node.value)
            return getattr(owner, node.attr, None) if isinstance(owner, (type, ModuleType)) else None
        if not isinstance(node, ast.Name) or node.id in self._function.__code__.co_varnames:
            return None
        closed = dict(
            zip(self._function.__code__.co_freevars, self._function.__closure__ or (), strict=False)
        )
        if node.id in closed:
            return next(_content(closed[node.id]), None)
        return self._function.__globals__.get(node.id, getattr(builtins, node.id, None))


def _content(cell: CellType) -> Iterator[Any]:
    """What a closure's cell holds, if it holds something yet."""
    with suppress(ValueError):  # raised by an empty cell, and by nothing else
        yield cell.cell_contents


def _plain(function: Any) -> FunctionType | None:
    """The function itself, below partials, wrappers and methods."""
    while isinstance(function, partial):
        function = function.func
    if not callable(function):
        return None
    function = inspect.unwrap(function)
    function = getattr(function, "__func__", function)
    return function if isinstance(function, FunctionType) else None


def _tree(function: FunctionType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        module = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    first = module.body[0] if module.body else None
    return first if isinstance(first, (ast.FunctionDef, ast.AsyncFunctionDef)) else None


def _own_returns(tree: ast.AST) -> Iterator[ast.Return]:
    """Its `return` statements, not those of functions inside it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield from _own_returns(node)
