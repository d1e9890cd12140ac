"""JSON merge patch (RFC 7396): what a payload becomes if it is given these fields, and loses those set to null."""

from __future__ import annotations

from typing import Any, cast


def merged(target: Any, patch: Any) -> Any:
    """`target` with `patch` laid over it; neither is changed.

    Objects are merged field by field, `None` takes a field away; anything else replaces what was there.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(cast(dict[str, Any], target)) if isinstance(target, dict) else dict[str, Any]()
    for name, value in cast(dict[str, Any], patch).items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
