"""A world asks nothing of the machine it is on: the same seed is the same history, byte for byte, in every process."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SEEDS = (1, 2, 17)

SIMULATED = (
    *(f"framework/pavane/{folder}" for folder in ("core", "model", "ports", "builder", "runtime", "client")),
    "framework/pavane/adapters/memory",
    "tests/workload",
    "tests/checker",
    "tests/simulation/world",
)
FORBIDDEN = {
    "time": ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep"),
    "random": ("random", "randint", "choice", "uniform", "shuffle", "SystemRandom"),
    "secrets": ("token_hex", "token_bytes", "randbelow"),
    "os": ("urandom", "getpid", "kill", "fork"),
    "uuid": ("uuid1", "uuid4"),
    "socket": ("socket", "gethostname", "create_connection"),
    "threading": ("Thread", "Timer"),
    "datetime": ("now", "utcnow", "today"),
    "loop": ("call_soon_threadsafe", "run_in_executor"),
}
ALLOWED = {
    "framework/pavane/runtime/clock.py": "time.* is the world's",
    "framework/pavane/runtime/crash_points.py": "a world kills by its own",
    "framework/pavane/runtime/crew.py": "name and nonce of a process are given by the world",
    "framework/pavane/runtime/handling.py": "all handlers of a world are async",
    "framework/pavane/runtime/leaving.py": "nothing but the last step of a real process",
    "framework/pavane/runtime/threads.py": "no thread is started where all handlers are async",
    "framework/pavane/runtime/watchdog.py": "a world has another one",
    "framework/pavane/client/client.py": "random bytes are given by the world",
    "framework/pavane/client/means.py": "random bytes are given by the world",
    "framework/pavane/client/leavings.py": "nobody tidies up the topology in a world",
    "tests/checker": "what real processes need: files, monotonic time, process ids",
    "tests/simulation/world/alone.py": "takes all of it away",
    "tests/simulation/world/loop.py": "refuses threads",
    "tests/simulation/world/blocks.py": "stands around worlds, not in them",
    "tests/simulation/world/test_": "stands around worlds, not in them",
}


def asked(file: Path) -> Iterator[str]:
    """Names of a file that ask the machine for something."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            place = node.value.id if isinstance(node.value, ast.Name) else "loop"
            if node.attr in FORBIDDEN.get(place, FORBIDDEN["loop"]):
                yield f"{place}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN:
            yield from (
                f"{node.module}.{name.name}" for name in node.names if name.name in FORBIDDEN[node.module]
            )


def test_nothing_that_is_simulated_asks_the_machine() -> None:
    found = {
        str(file.relative_to(ROOT)): names
        for folder in SIMULATED
        for file in sorted((ROOT / folder).rglob("*.py"))
        if (names := sorted(set(asked(file))))
    }
    assert "framework/pavane/runtime/clock.py" in found, "the scan sees what there is"
    unknown = {file: names for file, names in found.items() if not any(file.startswith(ok) for ok in ALLOWED)}
    assert unknown == {}, "take it from a port or from the world, or say in ALLOWED why it does not matter"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_seed_is_one_history_in_every_interpreter(seed: int) -> None:
    first, second = (told(seed, hash_seed) for hash_seed in ("1", "4711"))
    assert first == second
    assert len(first.splitlines()) > 200


def told(seed: int, hash_seed: str) -> str:
    """What `SEED=… make simulate` prints, in an interpreter of its own."""
    environment = os.environ | {"SEED": str(seed), "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-m", "tests.simulation.world"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
    return done.stdout
