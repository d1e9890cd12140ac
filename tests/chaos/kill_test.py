"""`make kill-test`: one round. `tests.chaos` says which file does what.

Variables: SEED (repeats the schedule of kills), KILLS (10 for each of five services), RATE (20 orders a
second), LATENCY (0.1 s in each handler), ORDERS (a folder in the Northwind format), COUNT (830 orders),
SERVERS=1 (RabbitMQ and Redis are killed too), DATA (a folder that is kept), JSON=1 (one object in the last
line). The exit code is 0 if nothing was violated, 1 if something was, 2 if the round could not begin.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from services.demo.northwind import BadFile
from services.demo.options import BadOptions
from services.demo.stage import app
from tests.chaos.goods import Goods, goods_of
from tests.chaos.plan import NORTHWIND, Plan
from tests.chaos.readiness import Hangs
from tests.chaos.report import document, sentences
from tests.chaos.round import Result, play
from tests.servers import ServerError

OK, VIOLATED, BAD_USE, INTERRUPTED = 0, 1, 2, 130


def main() -> int:
    """Play a round and say what came of it."""
    try:
        plan = Plan.read()
        goods = goods_of(plan.options)
    except (BadOptions, BadFile) as error:
        print(error, file=sys.stderr)
        return BAD_USE
    if plan.options.orders is None:
        say(f"{NORTHWIND} is missing: as many orders are generated.")
    say(
        f"SEED={plan.options.seed}: {len(goods.wares.orders)} orders {goods.source}, {plan.kills} kills each."
    )
    folder = plan.options.data or Path(tempfile.mkdtemp(prefix="pavane-kill-test-"))
    make_empty(folder)
    # Lost servers are no news here: what the libraries of this process say goes to a file.
    logging.basicConfig(filename=folder / "kill_test.log", level=logging.INFO)
    try:
        result = asyncio.run(interruptible(plan, goods, folder))
    except (Hangs, ServerError) as error:
        return give_up(plan, folder, error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print(f"stopped; logs are in {folder}", file=sys.stderr)
        return INTERRUPTED
    return conclude(result, folder)


def make_empty(folder: Path) -> None:
    """Without the databases, logs and marks of a round before."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("kill_test", *(service.name for service in app.services)):
        for file in folder.glob(f"{name}.*"):
            file.unlink()


async def interruptible(plan: Plan, goods: Goods, folder: Path) -> Result:
    """SIGTERM ends the round as Ctrl-C does: servers and services are not left behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await play(plan, goods, folder, say)


def conclude(result: Result, folder: Path) -> int:
    for sentence in sentences(result):
        say(sentence)
    if result.violations:
        say(
            f"Logs, marks and databases are in {folder}; SEED={result.plan.options.seed} kills in the same rhythm."
        )
    elif result.plan.options.data is None:
        shutil.rmtree(folder)
    if result.plan.options.json:
        say(json.dumps(document(result)))
    return VIOLATED if result.violations else OK


def give_up(plan: Plan, folder: Path, error: Exception) -> int:
    """Without services or servers there is nothing to judge, and no promise was kept."""
    print(f"{error}\nLogs are in {folder}.", file=sys.stderr)
    if plan.options.json:
        nothing = {"ok": False, "kills": 0, "kills_in_handlers": 0, "seed": plan.options.seed}
        say(json.dumps(nothing | {"violations": [str(error)]}))
    return VIOLATED


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
