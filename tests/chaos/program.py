"""Plays a program of this folder as `make` does: in a process of its own, which says its figures in the last line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
STOPPED_WITHIN = 60.0
"""Seconds in which it ends its servers and processes after SIGTERM."""


def figures_of(
    module: str, folder: Path, variables: dict[str, str], *, known: Sequence[str], longest: float
) -> dict[str, Any]:
    """The figures; its folder is `folder`.

    Args:
        variables: those that are set; the others of the `known` ones are not, whoever has set them.
        longest: seconds it may take on a busy machine.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in known}
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=inherited | {"JSON": "1", "DATA": str(folder)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        told, _ = process.communicate(timeout=longest)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=STOPPED_WITHIN)
        pytest.fail(f"not over within {longest:g} s:\n{told}")
    print(told)  # with the seed
    figures: dict[str, Any] = json.loads(told.splitlines()[-1])
    assert process.returncode == (0 if figures["ok"] else 1)
    return figures
