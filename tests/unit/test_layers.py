"""The import rules hold, and each is really checked: a copy of the tree with a forbidden import fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = {
    f"framework/pavane/adapters/{name}/__init__.py": '"""An adapter."""\n' for name in ("here", "there")
}
SERVICES = {f"services/{name}/__init__.py": '"""A service."""\n' for name in ("here", "there")}

# What is written into the copy, and the rule that must break.
FORBIDDEN = {
    "model imports runtime": (
        {"framework/pavane/model/intruder.py": "import pavane.runtime\n"},
        "pavane's folders are layers",
    ),
    "core imports a port": (
        {"framework/pavane/core/intruder.py": "from pavane.ports import broker\n"},
        "pavane's folders are layers",
    ),
    "core imports an adapter": (
        {"framework/pavane/core/intruder.py": "import pavane.adapters\n"},
        "pavane's folders are layers",
    ),
    "runtime imports the client": (
        {"framework/pavane/runtime/intruder.py": "import pavane.client\n"},
        "pavane's folders are layers",
    ),
    "a layer reaches up by way of the package itself": (
        {
            "framework/pavane/model/intruder.py": "import pavane\n",
            "framework/pavane/__init__.py": "import pavane.client\n",
        },
        "pavane's folders are layers",
    ),
    "a module without a layer": (
        {"framework/pavane/intruder.py": "import pavane.errors\n"},
        "pavane's folders are layers",
    ),
    "runtime imports an adapter": (
        ADAPTERS | {"framework/pavane/runtime/intruder.py": "import pavane.adapters.here\n"},
        "adapters and runtime never import each other",
    ),
    "an adapter imports the runtime": (
        ADAPTERS | {"framework/pavane/adapters/here/intruder.py": "import pavane.runtime\n"},
        "adapters and runtime never import each other",
    ),
    "an adapter imports another": (
        ADAPTERS | {"framework/pavane/adapters/here/intruder.py": "import pavane.adapters.there\n"},
        "adapters and runtime never import each other",
    ),
    "the framework imports contracts": (
        {"framework/pavane/cli/intruder.py": "import contracts\n"},
        "the framework imports neither contracts nor services",
    ),
    "the framework imports services": (
        {"framework/pavane/cli/intruder.py": "import services\n"},
        "the framework imports neither contracts nor services",
    ),
    "contracts import a module that is not public": (
        {"contracts/intruder.py": "import pavane.model\n"},
        "contracts import nothing but pavane's public names",
    ),
    "contracts import a service": (
        {"contracts/intruder.py": "import services\n"},
        "contracts import nothing but pavane's public names",
    ),
    "a service imports another": (
        SERVICES | {"services/here/intruder.py": "import services.there\n"},
        "a service never imports another",
    ),
    "a service imports a module that is not public": (
        SERVICES | {"services/here/intruder.py": "import pavane.adapters\n"},
        "services import nothing but pavane's public names",
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of everything that the rules are about."""
    root = tmp_path_factory.mktemp("tree")
    for name in ("framework", "contracts", "services"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@contextmanager
def written(root: Path, files: dict[str, str]) -> Iterator[None]:
    """The tree with `files` written, or added to what is there; as it was, afterwards."""
    before = {name: (root / name).read_text() if (root / name).exists() else None for name in files}
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text((before[name] or "") + text)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                (root / name).unlink()
            else:
                (root / name).write_text(old)


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    environment = os.environ | {"PYTHONPATH": f"{root / 'framework'}{os.pathsep}{root}", "COLUMNS": "200"}
    command = [str(program), "--no-cache", "--config", str(root / "pyproject.toml")]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_tree_keeps_the_rules(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("case", FORBIDDEN)
def test_a_forbidden_import_is_found(copy: Path, case: str) -> None:
    files, rule = FORBIDDEN[case]
    with written(copy, files):
        done = lint_imports(copy)
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(line.startswith(rule) for line in broken), done.stdout


def test_services_and_contracts_may_import_public_names(copy: Path) -> None:
    files = SERVICES | {
        "framework/pavane/events.py": "",
        "contracts/intruder.py": "import pavane\nfrom pavane import events\n",
        "services/here/intruder.py": "import contracts\nimport pavane.events\nimport pavane.testing\n",
        "services/demo.py": "import services.here\nimport services.there\n",
    }
    with written(copy, files):
        done = lint_imports(copy)
    assert done.returncode == 0, done.stdout
