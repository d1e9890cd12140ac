"""Reads a function's annotations, those that name classes local to a function included."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pavane.model.source import Place, place_of

MISSING: Final = inspect.Parameter.empty
"""Stands for an annotation that was not written."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Reading:
    """A function as its signature shows it.

    Attributes:
        names, annotations: of the positional parameters, in order; `MISSING` where none is written.
        required: how many of them have no default.
        open_ended: takes any further positional arguments (`*args`).
        demands_keywords: has keyword-only parameters without default.
        returns: the return annotation, or `MISSING`.
        unresolved: what could not be evaluated, as `name: text`.
    """

    function: Callable[..., Any]
    place: Place
    is_async: bool
    names: tuple[str, ...] = ()
    annotations: tuple[Any, ...] = ()
    required: int = 0
    open_ended: bool = False
    demands_keywords: bool = False
    returns: Any = MISSING
    unresolved: tuple[str, ...] = ()

    def takes(self, count: int) -> bool:
        """Whether it can be called with `count` positional arguments."""
        enough = self.open_ended or count <= len(self.names)
        return enough and self.required <= count and not self.demands_keywords

    def annotation(self, position: int) -> Any:
        return self.annotations[position] if position < len(self.annotations) else MISSING


class _Holder:
    """What `typing.get_type_hints` looks at, so that one annotation is evaluated alone."""

    def __init__(self, annotation: Any) -> None:
        self.__annotations__ = {"it": annotation}


def read(function: Callable[..., Any], scope: Mapping[str, Any]) -> Reading:
    """The reading of `function`; `scope` has the local names at the place of definition.

    Raises:
        TypeError, ValueError: it has no signature that can be read.
    """
    signature = inspect.signature(function)
    plain = _plain(function)
    unresolved: list[str] = []

    def resolved(name: str, annotation: Any) -> Any:
        try:
            return _evaluate(annotation, getattr(plain, "__globals__", {}), _names(plain, scope))
        except Exception:  # whatever an annotation's text may raise, it cannot be read
            unresolved.append(f"{name}: {annotation}")
            return MISSING

    parameters = list(signature.parameters.values())
    positional = [one for one in parameters if one.kind in _POSITIONAL]
    return Reading(
        function=function,
        place=place_of(function),
        is_async=inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(plain),
        names=tuple(one.name for one in positional),
        annotations=tuple(resolved(one.name, one.annotation) for one in positional),
        required=sum(one.default is MISSING for one in positional),
        open_ended=any(one.kind is one.VAR_POSITIONAL for one in parameters),
        demands_keywords=any(one.kind is one.KEYWORD_ONLY and one.default is MISSING for one in parameters),
        returns=resolved("return", signature.return_annotation),
        unresolved=tuple(unresolved),
    )


def local_scope(function: Callable[..., Any]) -> dict[str, Any]:
    """Local names of the running functions of `function`'s file, innermost first.

    A class defined inside a function is not among the globals; while that function runs and hands us its
    handler, its locals are on the stack.
    """
    file = place_of(function).file
    scope: dict[str, Any] = {}
    frame: types.FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if frame.f_code.co_filename == file and frame.f_locals is not frame.f_globals:
            scope = {**frame.f_locals, **scope}
        frame = frame.f_back
    return scope


def members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, flattened; one that is no union is its only member. `None` is `NoneType`."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(dict.fromkeys(one for part in get_args(annotation) for one in members(part)))
    if isinstance(annotation, typing.TypeVar) and annotation.__bound__ is not None:
        return members(annotation.__bound__)
    alias = getattr(annotation, "__value__", None)  # a `type X = A | B` statement
    if alias is not None and type(annotation).__name__ == "TypeAliasType":
        return members(alias)
    return (types.NoneType,) if annotation is None else (annotation,)


def shown(annotation: Any) -> str:
    """An annotation as one would write it."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _plain(function: Callable[..., Any]) -> Any:
    while isinstance(function, partial):
        function = function.func
    unwrapped = inspect.unwrap(function)
    return getattr(unwrapped, "__func__", unwrapped)


def _names(function: Any, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Locals as the annotation sees them: the scope, overridden by what the function closes over."""
    cells = getattr(function, "__closure__", None) or ()
    free = getattr(getattr(function, "__code__", None), "co_freevars", ())
    closed = {name: cell.cell_contents for name, cell in zip(free, cells, strict=True) if _is_filled(cell)}
    return {**scope, **closed}


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _evaluate(annotation: Any, globals_: dict[str, Any], locals_: dict[str, Any]) -> Any:
    if annotation is MISSING:
        return MISSING
    hints = typing.get_type_hints(_Holder(annotation), globals_, locals_, include_extras=True)
    return hints["it"]
