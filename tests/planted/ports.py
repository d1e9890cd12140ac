"""Ports with something wrong in them: every call is passed on, but those that the culprit has laid its hands on."""

from __future__ import annotations

from typing import Any

NEVER_OLD = 2**30
"""A generation that no job ever has: a copy that claims it is never taken for an old one."""


class Culprit:
    """A bug in the ports of one process: `store_<call>` and `broker_<call>` are made instead of the call.

    Attributes:
        store, broker: what it passes on to.
        inside: it sits between the recorders and the servers: what the process asked for and was told is recorded. Else
            it sits between the process and the recorders: what they see is what was done.
    """

    inside = False

    def __init__(self) -> None:
        self.store: Any = None
        self.broker: Any = None


class StorePort:
    def __init__(self, store: Any, culprit: Culprit) -> None:
        culprit.store = store
        self._culprit = culprit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._culprit, f"store_{name}", None) or getattr(self._culprit.store, name)


class BrokerPort:
    def __init__(self, broker: Any, culprit: Culprit) -> None:
        culprit.broker = broker
        self._culprit = culprit

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._culprit, f"broker_{name}", None)
        return found if found is not None else getattr(self._culprit.broker, name)
