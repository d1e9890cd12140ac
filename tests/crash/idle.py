"""Twenty workers that nobody sends anything: `python -m tests.crash.idle`."""

from __future__ import annotations

import signal
import sys

from pavane import App, Context, Event, Service

WORKERS = 20


class Nothing(Event, name="idle.nothing"): ...


service = Service("idle")


async def wait_for_work(ctx: Context[None], event: Nothing) -> None:
    """Never called."""


for number in range(WORKERS):
    service.queue_worker(f"worker{number}").handler(wait_for_work)

app = App(services=[service])

if __name__ == "__main__":
    signal.alarm(300)
    app.run(only=sys.argv[1:])
