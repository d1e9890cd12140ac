"""The trace that the caller stands in: what `traceparent`, `tracestate` and `baggage` say where a run starts.

Without this file runs begin traces of their own. OpenTelemetry is asked if it is there; pavane does not need it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from pavane.core.envelope import TRACE


def present_trace() -> tuple[str, str, str]:
    """`traceparent`, `tracestate` and `baggage` of the present context; empty where there is none."""
    propagate = _propagate()
    if propagate is None:
        return "", "", ""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    parent, state, baggage = (carrier.get(name, "") for name in TRACE)
    return parent, state, baggage


@cache
def _propagate() -> Any:
    try:
        return import_module("opentelemetry.propagate")
    except ImportError:
        return None
