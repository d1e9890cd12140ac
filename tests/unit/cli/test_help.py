"""Help and completion, for every command there is: the list is the program's own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from pavane.cli import completion
from pavane.cli.program import execute, hoist, program

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")} | {
    "PAVANE_APP": "tests.integration.cli_shop:app",
    "PYTHONPATH": str(ROOT),
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
"""Without URLs: whoever asks a server fails."""


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its full name; a group has more of them below."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, one in below.items():
        yield from leaves(one, (*path, name))


COMMANDS = dict(leaves(get_command(program)))


def example_of(command: Any) -> list[str]:
    """The words of the example in a command's help, which may go on over several lines."""
    [_, example] = command.help.split("Example: ")
    words = shlex.split(example)
    return words[: words.index(">")] if ">" in words else words


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_example_of_a_command_is_one_of_it_and_can_be_read(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    name, *words = example_of(command)
    assert name == "pavane"
    _, rest = hoist(words)
    assert tuple(rest[: len(path)]) == path
    # Parsed as if it were called, with the conversions of options, and not run.
    command.make_context("pavane", rest[len(path) :])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_the_example_and_every_option_in_words(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*path, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Example: pavane " in told
    silent = [
        one.opts[0]
        for one in COMMANDS[path].params
        if one.opts[0].startswith("-") and not (one.hidden or one.help)
    ]
    assert silent == []


# completion


LINES = {
    "pavane runs ": {"ls", "show", "watch", "cancel"},
    "pavane --json dlq ls --worker m": {"mail.confirm"},
}


def test_a_real_bash_completes_commands_and_names_of_the_app() -> None:
    bash = shutil.which("bash")
    assert bash
    asked = "".join(
        f"""
        COMP_WORDS=({line} {'""' if line.endswith(" ") else ""})
        COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _pavane_completion pavane
        echo "${{COMPREPLY[@]}}"
        """
        for line in LINES
    )
    script = f'eval "$(pavane --show-completion)"\n{asked}'
    done = subprocess.run(
        [bash, "--norc", "-c", script], env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    for offered, wanted in zip(done.stdout.splitlines(), LINES.values(), strict=True):
        assert wanted <= set(offered.split())
    assert done.stdout.splitlines()[1].split() == ["mail.confirm"]


def test_zsh_is_given_a_completion_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(monkeypatch, capsys, _PAVANE_COMPLETE="source_zsh").lstrip().startswith("#compdef pavane")
    offered = told(monkeypatch, capsys, _PAVANE_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="pavane dlq sh")
    assert "show" in offered
    assert "Show a dead letter" in offered


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        sys.exit(execute([]))
    assert ended.value.code in (None, 0)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("complete", "incomplete", "offered"),
    [
        (completion.services_and_workers, "s", ["stock", "stock.reserve"]),
        (completion.workers, "", ["stock.reserve", "mail.confirm"]),
        (completion.workflows, "or", ["orders"]),
        (completion.events, "cli.r", ["cli.reserved", "cli.refused"]),
        (completion.statuses, "paused,st", ["paused,stalled"]),
        (completion.waiting_kinds, "dead", ["dead_letter"]),
    ],
)
def test_names_are_completed_without_a_server(
    complete: completion.Complete, incomplete: str, offered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAVANE_APP", ENVIRONMENT["PAVANE_APP"])
    assert complete(incomplete) == offered


def test_an_app_that_cannot_be_loaded_completes_nothing_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_app.py").write_text("print('noise')\nraise RuntimeError('no')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("broken_app:app", "nowhere:app", ""):
        monkeypatch.setenv("PAVANE_APP", name)
        assert completion.workers("") == []
    assert capsys.readouterr() == ("", "")
