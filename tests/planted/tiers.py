"""The tiers, each as a question: at which seed or story does it catch this bug?"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from unittest.mock import patch

from pavane.core import pausing
from tests.model.scenarios import SCENARIOS
from tests.planted.bugs import Bug, Tier, planted
from tests.planted.environment import VARIABLE
from tests.planted.servers import day
from tests.servers import RabbitServer, RedisServer
from tests.simulation.walks.test_walks import seeded, walk_along
from tests.simulation.world.world import simulate

WALKS = 800
WORLDS = 250
RECORDED_IN_WORLDS = ("tests.simulation.world.machine", "tests.simulation.world.world")
RECORDED_ON_SERVERS = "tests.checker.recording"
CRASHES = "step-commit or step-publish"

Caught = str | None
"""Where and by what; `None`: not at all."""


def by_the_model(bug: Bug) -> Caught:
    """Every state of the bug's own scenario."""
    if not bug.scenario:
        return None
    [scenario] = [one for one in SCENARIOS if one.name == bug.scenario]
    if bug.rule is not None:
        found = scenario.explore(bug.rule, relay=bug.relay).counterexample
    else:
        try:
            with planted(bug):
                found = scenario.explore(relay=bug.relay).counterexample
        except AssertionError as broken:  # the second answer to one call differs from the first
            return f"{scenario.name}: {first_line(broken)}"
    return f"{scenario.name}: {found.promise}" if found is not None else None


def by_walks(bug: Bug) -> Caught:
    """Random walks over the core, until one breaks a promise."""
    if bug.core is None:
        return None
    with planted(bug), patch.object(pausing, "RELEASED_AT_ONCE", 2):
        for seed in range(1, WALKS):
            try:
                walk_along(seeded(seed))
            except Exception as broken:
                return f"seed {seed}: {first_line(broken)}"
    return None


def by_simulation(bug: Bug, seeds: Iterable[int] = range(1, WORLDS)) -> Caught:
    """Worlds, until the checker or the world itself says that something is wrong."""
    with planted(bug, *RECORDED_IN_WORLDS):
        for seed in seeds:
            violations = simulate(seed).violations
            if violations:
                return f"seed {seed}: {violations[0]}"
    return None


def by_servers(bug: Bug) -> Caught:
    """A day at the post on real servers, which all bugs share."""
    if bug.ports is None and bug.runtime is None:
        return None
    rabbit, redis = servers()
    with planted(bug, RECORDED_ON_SERVERS):
        violations = asyncio.run(day(rabbit, redis))
    return violations[0] if violations else None


@cache
def servers() -> tuple[RabbitServer, RedisServer]:
    """Private servers that end with this process."""
    return RabbitServer().start(), RedisServer().start()


def by_crash(bug: Bug) -> Caught:
    """Real processes that die after a commit, and after a publish; for the bugs alone that show there."""
    if "crash" not in bug.caught_by:
        return None
    said = ran("-m", "pytest", "-qx", "tests/crash/test_crash_table.py", "-k", CRASHES, bug=bug)
    failed = [line for line in said if line.startswith("FAILED")]
    return failed[0].partition("::")[2] if failed else None


def by_storm(bug: Bug) -> Caught:
    """Half a minute of faults on real servers, processes and proxies of its own; with `STORM=1` alone."""
    if not os.environ.get("STORM") or "storm" not in bug.caught_by:
        return None
    said = ran("-m", "tests.chaos.storm", bug=bug, MINUTES="0.5", JSON="1", SEED="1")
    violations: list[str] = json.loads(said[-1])["violations"]
    broken = [one for one in violations if re.search(r"\bI\d+ ", one)]  # not that a slow machine is slow
    return broken[0] if broken else None


def ran(*command: str, bug: Bug, **environment: str) -> list[str]:
    """The lines that a program of Python printed, whose processes have the bug."""
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | environment | {VARIABLE: bug.name},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout.splitlines()


def first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]


CATCHERS: Mapping[Tier, Callable[[Bug], Caught]] = {
    "model": by_the_model,
    "walks": by_walks,
    "simulation": by_simulation,
    "servers": by_servers,
    "crash": by_crash,
    "storm": by_storm,
}
