"""The headers that a program without pavane writes, as a JSON Schema: the ones it must, and the ones it may.

They are those that `envelope.read` takes; headers that pavane sets on its own copies are not among them.
"""

from __future__ import annotations

from typing import Any

from pavane.core.envelope import RUN, VERSION
from pavane.model.workflow import Workflow

_ID = "[A-Za-z0-9._:/@+=-]{1,256}"
_RUN_ID = "[A-Za-z0-9._:-]{1,128}"
_WORKFLOW = "[a-z][a-z0-9_]{0,62}"


def sender_headers(event: str, version: int, *, starts: Workflow[Any, Any] | None) -> dict[str, Any]:
    """The headers of one version of an event.

    Args:
        starts: the workflow that it starts. The run of such an event follows from its payload, or from its id.
    """
    is_run_id = starts is not None and starts.run_id is None
    required = ["cloudEvents_specversion", "cloudEvents_id", "cloudEvents_type", "cloudEvents_source"]
    properties: dict[str, Any] = {
        "cloudEvents_specversion": {"type": "string", "const": "1.0"},
        "cloudEvents_id": {
            "type": "string",
            "pattern": f"^{_RUN_ID if is_run_id else _ID}$",
            "description": "Unique to this event; the same when it is sent again.",
        },
        "cloudEvents_type": {"type": "string", "const": event},
        "cloudEvents_source": {
            "type": "string",
            "format": "uri-reference",
            "minLength": 1,
            "maxLength": 512,
            "description": "Who sends it.",
        },
        "cloudEvents_time": {"type": "string", "format": "date-time", "description": "When it happened."},
    }
    if version != 1:
        required.append(VERSION)
        properties[VERSION] = {"type": "integer", "const": version}
    else:
        properties[VERSION] = {"type": "integer", "const": 1, "description": "1 if it is left out."}
    if starts is None:
        properties[RUN] = {
            "type": "string",
            "pattern": f"^{_WORKFLOW}:{_RUN_ID}$",
            "description": "The run that it belongs to, <workflow>:<run id>; left out: to none.",
        }
    return {"type": "object", "required": required, "properties": properties | _for_tracing()}


def _for_tracing() -> dict[str, Any]:
    return {
        "correlationid": {"type": "string", "description": "The run, for readers without pavane."},
        "causationid": {"type": "string", "pattern": f"^{_ID}$", "description": "The event that caused it."},
        "traceparent": {"type": "string", "maxLength": 512, "description": "W3C Trace Context."},
        "tracestate": {"type": "string", "maxLength": 512},
        "baggage": {"type": "string", "maxLength": 8192},
    }
