"""The last step of a process that only runs workers: not to be kept by a handler that ignores its cancellation.

asyncio waits at the end of a loop until every task has ended. A handler that catches its cancellation and goes
on would keep the process for as long as it likes, long after its grace period.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

PATIENCE = 0.2

log = logging.getLogger("pavane")


async def leave_nothing_running() -> None:
    """Cancel what still runs. If something ignores that, end the process here and now, as gracefully as can be."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if not others:
        return
    _, left = await asyncio.wait(others, timeout=PATIENCE)
    if left:
        log.error("%d tasks ignore their cancellation: the process ends without them", len(left))
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
