"""`make chaos`: one storm. `tests.chaos.storm` says which file does what.

Variables: MINUTES (3), SEED (repeats faults, load and choreography), RATE (6 runs a second), WORKERS (4 processes),
MODE (`storm`; `rewind` and `flush` let Redis forget), DATA (a folder that is kept), JSON=1 (one object in the last
line). The exit code is 0 if nothing was violated, 1 if something was, 2 if it could not begin.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from services.demo.options import BadOptions
from tests.chaos.readiness import Hangs
from tests.chaos.storm.plan import Plan
from tests.chaos.storm.report import document, sentences
from tests.chaos.storm.result import Result
from tests.chaos.storm.storm import play
from tests.servers import ServerError

OK, VIOLATED, BAD_USE, INTERRUPTED = 0, 1, 2, 130


def main() -> int:
    """Play a storm and say what came of it."""
    try:
        plan = Plan.read()
    except BadOptions as error:
        print(error, file=sys.stderr)
        return BAD_USE
    say(
        f"SEED={plan.seed}: {plan.minutes:g} minutes of faults, {plan.starts} runs, {plan.workers} processes."
    )
    folder = Path(tempfile.mkdtemp(prefix="pavane-storm-", dir=os.environ.get("DATA") or None))
    logging.basicConfig(filename=folder / "storm.log", level=logging.INFO)
    try:
        result = asyncio.run(interruptible(plan, folder))
    except (Hangs, ServerError) as error:
        print(f"{error}\nLogs are in {folder}.", file=sys.stderr)
        if plan.json:
            say(json.dumps({"ok": False, "seed": plan.seed, "violations": [str(error)]}))
        return VIOLATED
    except (KeyboardInterrupt, asyncio.CancelledError):
        print(f"stopped; logs are in {folder}", file=sys.stderr)
        return INTERRUPTED
    return conclude(result, folder)


async def interruptible(plan: Plan, folder: Path) -> Result:
    """SIGTERM ends it as Ctrl-C does: servers and processes are not left behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await play(plan, folder, say)


def conclude(result: Result, folder: Path) -> int:
    for sentence in sentences(result):
        say(sentence)
    if result.violations:
        say(
            f"Histories, logs and databases are in {folder}; SEED={result.plan.seed} lets the same faults strike."
        )
    elif not os.environ.get("DATA"):
        shutil.rmtree(folder)
    if result.plan.json:
        say(json.dumps(document(result)))
    return VIOLATED if result.violations else OK


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
