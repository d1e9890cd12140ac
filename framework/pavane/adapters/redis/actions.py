"""What people do to a run, and what a paused run holds, as the scripts read it: see `documents`."""

from __future__ import annotations

from pavane.adapters.redis.documents import Blobs, Document, event_in
from pavane.core.calls import Cancel, Compensate, Hold, MoveDeadline, Pause, Resume, Skip


def cancel(call: Cancel, blobs: Blobs) -> Document:
    return {
        "subscribed": call.subscribed,
        "request": call.request,
        "undo": call.undo,
        "by": call.by,
        "reason": call.reason,
    }


def compensate(call: Compensate, blobs: Blobs) -> Document:
    return {
        "subscribed": call.subscribed,
        "request": call.request,
        "by": call.by,
        "reason": call.reason,
    }


def pause(call: Pause, blobs: Blobs) -> Document:
    return {"by": call.by, "reason": call.reason}


def hold(call: Hold, blobs: Blobs) -> Document:
    document: Document = {
        "step": call.step,
        "worker": call.worker,
        "kind": call.kind,
        "generation": call.generation,
    }
    if call.event is not None:
        document["event"] = event_in(call.event, blobs)
    return document


def resume(call: Resume, blobs: Blobs) -> Document:
    return {"by": call.by, "reason": call.reason}


def skip(call: Skip, blobs: Blobs) -> Document:
    return {
        "subscribed": call.subscribed,
        "step": call.step,
        "event": event_in(call.event, blobs),
        "by": call.by,
        "reason": call.reason,
    }


def move_deadline(call: MoveDeadline, blobs: Blobs) -> Document:
    return {"at": call.at, "by": call.by, "reason": call.reason}
