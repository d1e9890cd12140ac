"""What steps remember for their run: named JSON values, read as of begin, written with the commit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pavane.errors import UsageError

JSON: TypeAlias = str | int | float | bool | Sequence["JSON"] | Mapping[str, "JSON"] | None


def encode_value(key: str, value: JSON) -> bytes:
    """`value` as JSON.

    Raises:
        UsageError: it is not JSON (NaN and infinite numbers included).
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"data: {key} is not JSON: {error}", remedy="Keep plain values in data.") from error


def encode_values(values: Mapping[str, JSON]) -> dict[str, bytes]:
    """A snapshot for `Data` from plain values.

    Raises:
        UsageError: one of them is not JSON.
    """
    return {key: encode_value(key, value) for key, value in values.items()}


class Data(Mapping[str, Any]):
    """The run's data as of begin, with this handler's own changes.

    Every read decodes afresh: changing a list that was read changes nothing until it is `set`. Branches
    that run in parallel merge key by key, and the last commit of a key wins.
    """

    def __init__(
        self, snapshot: Mapping[str, bytes], patch: dict[str, bytes], check: Callable[[], None] = lambda: None
    ) -> None:
        """Args:
        snapshot: JSON by key, as of begin.
        patch: where changes are collected.
        check: raises if the handler's time is over.
        """
        self._snapshot = snapshot
        self._patch = patch
        self._check = check

    def set(self, **values: JSON) -> None:
        """Remember `values`, together with the step's commit.

        Raises:
            UsageError: a value is not JSON; then none of them is taken.
        """
        self._check()
        self._patch.update(encode_values(values))

    def __getitem__(self, key: str) -> Any:
        return json.loads(self._patch[key] if key in self._patch else self._snapshot[key])

    def __iter__(self) -> Iterator[str]:
        return iter({**self._snapshot, **self._patch})

    def __len__(self) -> int:
        return len({**self._snapshot, **self._patch})

    def __repr__(self) -> str:
        return f"Data({dict(self)!r})"
