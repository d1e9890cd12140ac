"""Every sample of README and docs does what it seems to do: it runs, type-checks, or is a part of the repository."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pavane.cli.program import program
from tests.docs.pages import PAGES, ROOT, Block, blocks

BLOCKS = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
WITH_PROGRAMS = [page for page in PAGES if any(block.complete for block in blocks(page))]
LANGUAGES = {"python", "console", "sh", "json", "text", "mermaid", "toml", "ini"}


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")}
    return inherited | {"PYTHONPATH": f"{ROOT / 'framework'}{os.pathsep}{ROOT}"}


def save(page: Path, folder: Path) -> list[Block]:
    """Save the complete blocks of a page; those there are."""
    complete = [block for block in blocks(page) if block.complete]
    for block in complete:
        (folder / block.file).write_text(block.code)
    return complete


def test_there_are_pages_and_every_block_says_what_it_is() -> None:
    assert len(PAGES) > 5
    for block in BLOCKS:
        assert block.language in LANGUAGES, f"{block}: one of {', '.join(sorted(LANGUAGES))}"
        option = block.option.partition("=")[0]
        assert option in ("", "fragment", "file", "excerpt"), f"{block}: {block.option}"


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_sample_is_python(block: Block) -> None:
    flags = ast.PyCF_ONLY_AST | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if block.option == "fragment" else 0)
    compile(block.code, str(block), "exec", flags=flags)


@pytest.mark.parametrize("page", WITH_PROGRAMS, ids=lambda page: page.name)
def test_the_programs_of_a_page_run(page: Path, tmp_path: Path) -> None:
    for block in save(page, tmp_path):
        tested = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
        words = [*tested, block.file] if block.file.startswith("test_") else [block.file]
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", WITH_PROGRAMS, ids=lambda page: page.name)
def test_the_programs_of_a_page_are_typed(
    page: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = [block.file for block in save(page, tmp_path)]
    cache = str(
        tmp_path_factory.getbasetemp() / "mypy"
    )  # pavane's own types are looked at once for all pages
    words = ["--strict", "--no-error-summary", "--cache-dir", cache, "--config-file", ""]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, *files],
        cwd=tmp_path,
        env=environment() | {"MYPYPATH": f"{ROOT / 'framework'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, f"{page.name}\n{done.stdout}{done.stderr}"


EXCERPTS = [block for block in PYTHON if block.option.startswith("excerpt=")]


def test_an_excerpt_is_a_part_of_its_file() -> None:
    for block in EXCERPTS:
        source = (ROOT / block.option.removeprefix("excerpt=")).read_text()
        for part in block.code.split("    ...\n"):
            assert part.strip("\n") in source, f"{block} is no longer in {block.option}:\n{part}"


COMMANDS = [
    (str(block), line.removeprefix("$ "))
    for block in BLOCKS
    if block.language in ("sh", "console")
    for line in block.code.replace("\\\n", " ").splitlines()
    if line.startswith("$ ") or (block.language == "sh" and not line.startswith("#"))
]


@pytest.mark.parametrize(
    ("where", "line"), COMMANDS, ids=[f"{where} {line[:40]}" for where, line in COMMANDS]
)
def test_a_command_exists_with_its_options(where: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    while words and "=" in words[0] and words[0].split("=")[0].isupper():
        words.pop(0)
    if words and words[0] == "make":
        targets = (ROOT / "Makefile").read_text()
        assert f"\n{words[1]}: " in targets, f"{where}: no target {words[1]}"
    if not words or words[0] != "pavane":
        return
    # `--help` comes before anything is done, but after all words were understood.
    done = CliRunner().invoke(program, [*words[1:], "--help"])
    assert done.exit_code == 0, f"{where}: {line}\n{done.output}"
