"""From what a builder was told and its handler to the worker's definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pavane.builder.annotations import local_scope
from pavane.builder.choices import Choices, Slot
from pavane.builder.findings import Findings
from pavane.builder.outcomes import read_exhaustion, read_undo
from pavane.builder.signature import HandlerShape, read_function, read_handler
from pavane.errors import DefinitionError, Problem
from pavane.model.definition import Compensation, WorkerDefinition
from pavane.model.source import place_of


def define(
    slot: Slot, choices: Choices, handler: Callable[..., Any], problems: Iterable[Problem]
) -> WorkerDefinition:
    """The definition of the worker.

    Args:
        problems: what is already known to be wrong.

    Raises:
        DefinitionError: with these and all further problems.
    """
    findings = Findings(slot.full_name, slot.place, problems)
    reading = read_function(handler, local_scope(handler), "the handler", findings)
    if reading is None:
        raise DefinitionError(*findings.problems)
    if choices.on is not None and choices.on_all is not None:
        findings.add(
            "contradicting_event",
            ".on and .on_all: a worker is called for each of its events, or once when all are there.",
            remedy="Leave one of them out, or make two workers.",
        )
    if choices.on_all is not None and choices.rate_limit is not None and choices.rate_limit.key is not None:
        findings.add(
            "bad_value",
            ".rate_limit(key=…) takes one event, and .on_all has several.",
            remedy="Leave the key out: all jobs of the worker share one limit then.",
        )
    shape = read_handler(reading, choices.on, choices.on_all, choices.emits, findings)
    exhaustion_scope = local_scope(choices.on_exhausted) if callable(choices.on_exhausted) else {}
    exhaustion = read_exhaustion(choices.on_exhausted, shape, exhaustion_scope, findings)
    compensation = _compensation(choices, shape, findings)
    findings.raise_all()
    return WorkerDefinition(
        service=slot.service,
        name=slot.name,
        description=slot.description,
        events=shape.events,
        joins=shape.joins,
        emits=shape.emits,
        results=shape.results,
        returns_none=shape.returns_none,
        handler=handler,
        is_async=shape.is_async,
        lease_ms=choices.lease_ms,
        renew_every_ms=choices.renew_every_ms,
        timeout_ms=choices.timeout_ms,
        step_timeout_ms=choices.step_timeout_ms,
        retry=choices.retry,
        on_exhausted=exhaustion,
        compensation=compensation,
        dead_letters=choices.dead_letters,
        prefetch=choices.prefetch,
        rate_limit=choices.rate_limit,
        timeout_given=choices.timeout_given,
        place=place_of(handler),
    )


def _compensation(choices: Choices, shape: HandlerShape, findings: Findings) -> Compensation | None:
    undo = choices.undo
    if undo is None:
        return None
    return read_undo(
        undo.undo,
        shape,
        local_scope(undo.undo),
        findings,
        uncertain=undo.uncertain,
        retry=undo.retry,
        timeout_ms=undo.timeout_ms or choices.timeout_ms,
    )
