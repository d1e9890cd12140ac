"""Global options, exit codes, and options that are read by hand."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from pavane import (
    ActionRefused,
    App,
    BrokerUnavailable,
    DefinitionError,
    InvalidPayload,
    LetterNotFound,
    Overloaded,
    PavaneError,
    Problem,
    RunFailed,
    RunNotFound,
    SettingsError,
    StateLost,
    StateUnavailable,
    TopologyMismatch,
    UsageError,
)
from pavane.cli.exits import code_of, remedy_of
from pavane.cli.loading import load_app
from pavane.cli.options import read_time
from pavane.cli.program import execute, hoist
from pavane.cli.session import Session
from pavane.client.letter_filter import LetterFilter
from pavane.settings import Settings


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunFailed("x", run="w:1", status="failed"), 1),
        (UsageError("x"), 2),
        (SettingsError("x"), 2),
        (DefinitionError(Problem(code="x", message="x", subject="x")), 2),
        (InvalidPayload("x"), 2),
        (RunNotFound("x", run="w:1"), 3),
        (LetterNotFound("x"), 3),
        (BrokerUnavailable("x"), 4),
        (StateUnavailable("x"), 4),
        (StateLost("x"), 5),
        (ActionRefused("x", run="w:1"), 5),
        (Overloaded("x", worker="a.b", retry_after=1), 5),
        (TopologyMismatch("x"), 5),
    ],
)
def test_every_error_has_its_exit_code(error: PavaneError, code: int) -> None:
    assert code_of(error) == code
    assert remedy_of(error)


def test_global_options_may_stand_anywhere_before_the_end_of_options() -> None:
    words = ["runs", "--json", "ls", "--namespace", "a", "--env-file=b", "--status", "x"]
    assert hoist(words) == (["--json", "--namespace", "a", "--env-file=b"], ["runs", "ls", "--status", "x"])
    assert hoist(["dlq", "show", "--", "--json"]) == ([], ["dlq", "show", "--", "--json"])
    assert hoist(["runs", "--namespace"]) == (["--namespace"], ["runs"])


def test_help_is_code_0_and_a_wrong_option_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out
    assert execute(["runs", "ls", "--what"]) == 2
    assert "--what" in capsys.readouterr().err
    assert execute(["runs", "ls", "--since", "yesterday", "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["code"], "yesterday" in error["message"]) == ("usage_error", True)


@pytest.mark.parametrize("command", ["ls", "redrive", "discard"])
def test_every_condition_on_dead_letters_is_an_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["dlq", command, "--help"]) == 0
    told = capsys.readouterr().out
    assert [name for name in LetterFilter.__annotations__ if f"  --{name} " not in told] == []
    assert "--filter" not in told


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5d", 129_600)])
def test_a_time_may_be_so_long_ago(text: str, seconds: float) -> None:
    before = datetime.now(UTC)
    at = read_time(text)
    assert before <= at + timedelta(seconds=seconds) <= datetime.now(UTC)


def test_a_time_without_a_zone_is_utc() -> None:
    assert read_time("2026-01-02T03:04") == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert read_time("2026-01-02T03:04+01:00") == datetime(2026, 1, 2, 2, 4, tzinfo=UTC)
    for text in ("soon", "99999999999d", "5"):
        with pytest.raises(typer.BadParameter):
            read_time(text)


def test_settings_come_from_the_file_unless_the_environment_or_an_option_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PAVANE_NAMESPACE", "PAVANE_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PAVANE_PREFETCH", "7")
    file = tmp_path / "env"
    file.write_text("PAVANE_NAMESPACE=fromfile\nPAVANE_PREFETCH=9\nPAVANE_ACTOR=file\n")
    settings = Session(env_file=file).settings()
    assert (settings.namespace, settings.prefetch, settings.actor) == ("fromfile", 7, "file")
    given = Session(env_file=file, namespace="given").settings(by="operator-1")
    assert (given.namespace, given.prefetch, given.actor) == ("given", 7, "operator-1")
    with pytest.raises(SettingsError, match="NAMESPACE"):
        Session(namespace="Not A Name").settings()


def test_a_change_needs_yes_where_nobody_can_be_asked() -> None:
    Session().confirm("Really?", yes=True)
    with pytest.raises(UsageError, match="nobody to ask"):
        Session(json=True).confirm("Really?", yes=False)


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        (None, "{module}:app", "no module"),
        ("import nowhere_at_all", "{module}:app", "nowhere_at_all"),
        ("1 / 0", "{module}:app", "ZeroDivisionError"),
        ("app = 1", "{module}:app", "no App"),
        ("app = 1", "{module}:other", "no App"),
        (None, None, "Which app"),
    ],
)
def test_an_app_that_cannot_be_loaded_says_why(
    source: str | None, name: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"clitest_{abs(hash((source, name)))}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    if source is not None:
        (tmp_path / f"{module}.py").write_text(source)
    with pytest.raises(UsageError, match=says):
        load_app(name.format(module=module) if name else None, Settings(app=None))


def test_an_app_is_loaded_from_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "clitest_good.py").write_text(
        "from pavane import App, Service, Context, Event\n"
        "class E(Event, name='clitest.e'): ...\n"
        "s = Service('s')\n"
        "@s.queue_worker('w')\n"
        "async def w(ctx: Context, e: E) -> None: ...\n"
        "app = App(services=[s])\n"
    )
    loaded = load_app(None, Settings(app="clitest_good"))
    assert isinstance(loaded, App)
    assert load_app("clitest_good:app", Settings()) is loaded


@pytest.mark.parametrize("words", ["gates ls", "state adopt", "dashboard", "health --live"])
def test_what_is_promised_for_later_is_refused_by_name(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*words.split(), "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    command = " ".join(words.split()[: 2 if words.startswith("dlq") else 1])
    assert error["message"].startswith(f"pavane {command}: this version of pavane cannot do that yet")
