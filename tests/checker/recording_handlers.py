"""Handlers and undos that note when they start, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pavane.core.identity import loose_key, step_id
from pavane.core.record import JobKind
from pavane.model.context import JobContext
from pavane.model.definition import WorkerDefinition
from tests.checker.history import History
from tests.checker.recorder import Facts, Recorder


def recording_workers(
    workers: Sequence[WorkerDefinition], history: History, process: str = ""
) -> tuple[WorkerDefinition, ...]:
    """The definitions with recorded handlers, as `App.process(workers=…)` takes them. `detail.key` is the
    idempotency key that each was given."""
    recorder = Recorder(history, process)
    return tuple(recorded(worker, recorder) for worker in workers)


def recorded(worker: WorkerDefinition, recorder: Recorder) -> WorkerDefinition:
    undo = worker.compensation
    return replace(
        worker,
        handler=noting(worker.handler, worker.is_async, recorder, "step"),
        compensation=undo and replace(undo, undo=noting(undo.undo, undo.is_async, recorder, "undo")),
    )


def noting(
    handler: Callable[..., Any], is_async: bool, recorder: Recorder, kind: JobKind
) -> Callable[..., Any]:
    """The same handler, as asynchronous or plain as it was."""

    async def on_loop(ctx: JobContext[Any], *events: Any) -> Any:
        return await recorder.operation(
            "handler", of_job(ctx, kind), lambda: handler(ctx, *events), of_result
        )

    def in_thread(ctx: JobContext[Any], *events: Any) -> Any:
        invoked = recorder.note("invoke", "handler", of_job(ctx, kind))
        try:
            result = handler(ctx, *events)
        except BaseException as error:
            recorder.fail(invoked, error)
            raise
        recorder.end("ok", invoked, of_result(result))
        return result

    return on_loop if is_async else in_thread


def of_job(ctx: JobContext[Any], kind: JobKind) -> Facts:
    return {
        "record": ctx.run or loose_key(ctx.run_id),
        "worker": ctx.worker,
        "step": step_id(ctx.worker, ctx.event.id),
        "kind": kind,
        "attempt": ctx.attempt,
        "token": ctx.fencing_token,
        "event": ctx.event.id,
        "detail": {"key": ctx.idempotency_key},
    }


def of_result(result: Any) -> Facts:
    return {"answer": type(result).__name__}
