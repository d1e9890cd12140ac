"""Testing what is built on pavane: an app in memory by a virtual clock, and contexts to call handlers with.

    async with Harness(app) as harness:
        run = await harness.start(order_fulfilment, OrderPlaced(order_id="1"))
        harness.fail("payments.charge", ConnectionError, times=2)
        await run.result()

harness   `Harness`: start runs, let time pass
witness   what happened: events, attempts, statuses
sabotage  faults as a test orders them
fakes     `FakeContext`, `FakeUndoContext`
stage     where handlers are called: who runs, who is held, replaced or made to fail
faults    what was ordered
life      the process: started, killed, started again
clock     time that stands still until it is moved
pace      bringing all to rest, and moving the clock to what is due next
observed  the pair in memory, with a notebook
told      what a failed expectation tells

`pavane.testing.conformance` is for authors of adapters.
"""

from pavane.runtime.crash_points import CrashPoint
from pavane.testing.fakes import FakeContext, FakeUndoContext
from pavane.testing.harness import Harness

__all__ = ["CrashPoint", "FakeContext", "FakeUndoContext", "Harness"]
