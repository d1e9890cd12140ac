"""The lock of a queue: whoever goes through it message by message, or takes it away, is alone with it."""

from __future__ import annotations

from typing import Final

from pavane.client.means import Means

LOCK_MS: Final = 30_000
"""How long a pass that died keeps the next one out."""


class QueueLock:
    """The lock of `queue`.

    Args:
        owner: names the pass.
    """

    def __init__(self, means: Means, queue: str, owner: str) -> None:
        self._means = means
        self._name = f"dlq/{queue}"
        self._owner = owner
        self._token = 0
        self._claimed_at = 0

    async def keep(self) -> bool:
        """Take it or keep it; `False`: somebody else has it, or had it in between, as a new token tells.

        Raises:
            StateUnavailable: the store does not answer.
        """
        now = self._means.clock.now()
        if self._token and now - self._claimed_at < LOCK_MS // 3:
            return True
        token = await self._means.store.claim(self._name, self._owner, LOCK_MS)
        ours = token > 0 and self._token in (0, token)
        self._token, self._claimed_at = token, now
        return ours

    async def let_go(self) -> None:
        """Let it go, if it is still ours.

        Raises:
            StateUnavailable: the store does not answer; it ends by itself.
        """
        if self._token:
            await self._means.store.disclaim(self._name, self._owner)
