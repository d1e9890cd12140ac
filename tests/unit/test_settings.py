"""Settings: read from the environment, refused by name, never showing a credential."""

from __future__ import annotations

import traceback
import warnings
from datetime import timedelta
from pathlib import Path

import pytest

from pavane import Settings, SettingsError
from pavane.settings import mask_url

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for variable in [name for name in os.environ if name.upper().startswith("PAVANE_")]:
        monkeypatch.delenv(variable)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = Settings()
    assert (settings.broker_url, settings.state_url, settings.broker_urls) == (None, None, ())
    assert (settings.namespace, settings.shards, settings.prefetch) == ("pavane", 16, 32)
    assert (settings.heartbeat, settings.grace_period) == (15, 30)
    assert (settings.publish_timeout, settings.state_timeout) == (10, 5)
    assert (settings.retention, settings.idle_after) == (30 * 86400, 3600)
    assert (settings.max_body, settings.max_commit) == (256 * 1024, 8 * 1024 * 1024)
    assert (settings.max_hops, settings.max_emits, settings.max_timers, settings.max_history) == (
        64,
        100,
        100,
        2000,
    )
    assert (settings.durability, settings.declare, settings.log_level) == ("standard", "auto", "INFO")
    assert settings.actor


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20", 20), ("2.5", 2.5), ("PT20S", 20), ("PT1M30S", 90), ("P30D", 30 * 86400), ("pt1h", 3600)],
)
def test_durations_are_seconds_or_iso_8601(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: float
) -> None:
    monkeypatch.setenv("PAVANE_GRACE_PERIOD", text)
    assert Settings().grace_period == seconds


def test_a_duration_may_be_a_timedelta_where_code_gives_it() -> None:
    assert Settings.model_validate({"retention": timedelta(days=1)}).retention == 86400


@pytest.mark.parametrize("text", ["-1", "0", "nan", "inf", "-PT5S", "soon", "PTS"])
def test_a_duration_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PAVANE_HEARTBEAT", text)
    with pytest.raises(SettingsError, match="PAVANE_HEARTBEAT"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NAMESPACE", "Upper"),
        ("NAMESPACE", "a" * 33),
        ("NAMESPACE", "trailing\n"),
        ("SHARDS", "0"),
        ("PREFETCH", "many"),
        ("DURABILITY", "relaxed"),
        ("BROKER_URL", f"http://u:{SECRET}@h"),
        ("BROKER_URL", f"amqp://u:{SECRET}@a,b:5672"),
        ("BROKER_URL", f"amqp://u:{SECRET}@h:port"),
        ("BROKER_URL", "amqp://"),
        ("STATE_URL", f"amqp://u:{SECRET}@h"),
        ("MANAGEMENT_URL", "ftp://h"),
    ],
)
def test_a_bad_value_is_refused_by_name_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"PAVANE_{variable}", value)
    with pytest.raises(SettingsError, match=f"PAVANE_{variable}") as caught:
        Settings()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAVANE_SHARDS", "none")
    monkeypatch.setenv("PAVANE_DECLARE", "maybe")
    with pytest.raises(SettingsError, match=r"PAVANE_DECLARE.*PAVANE_SHARDS|PAVANE_SHARDS.*PAVANE_DECLARE"):
        Settings()


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://h:6380/1", "redis+sentinel://h:26379/mymaster", "redis+cluster://h:7000"]
)
def test_every_kind_of_store_url_is_taken(url: str) -> None:
    assert Settings(state_url=url).state_url == url


def test_several_broker_nodes_are_several_urls() -> None:
    settings = Settings(broker_url="amqp://u:p@a:5672/v, amqps://u:p@b")
    assert settings.broker_urls == ("amqp://u:p@a:5672/v", "amqps://u:p@b")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"amqp://user:{SECRET}@host:5672/v", "amqp://***@host:5672/v"),
        (f"amqp://user:{SECRET}@a,amqp://user:{SECRET}@b", "amqp://***@a,amqp://***@b"),
        (f"amqp://user:{SECRET}/{SECRET}@host", "amqp://***@host"),
        (f"amqp://user:{SECRET}@{SECRET}@host", "amqp://***@host"),
        (f"redis://host/0?password={SECRET}&db=1", "redis://host/0?password=***&db=1"),
        (f"redis://host?sentinel_password={SECRET}", "redis://host?sentinel_password=***"),
        ("redis://host:6379/0", "redis://host:6379/0"),
    ],
)
def test_no_url_is_shown_with_credentials(url: str, shown: str) -> None:
    assert mask_url(url) == shown
    settings = Settings.model_construct(broker_url=url, state_url=url, management_url=url)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_an_unknown_variable_is_a_warning_that_names_the_nearest_known_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAVANE_HEARTBAET", SECRET)
    with pytest.warns(UserWarning, match="PAVANE_HEARTBAET.*PAVANE_HEARTBEAT") as told:
        Settings()
    assert SECRET not in str(told[0].message)


def test_a_setting_of_a_later_version_is_said_to_have_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAVANE_SECRET_KEYS", SECRET)
    with pytest.warns(UserWarning, match="PAVANE_SECRET_KEYS has no effect"):
        Settings()


def test_the_tests_own_variables_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAVANE_TEST_BROKER_URL", "amqp://h")
    monkeypatch.setenv("PAVANE_CRASH", "commit:1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Settings()


def test_the_environment_goes_before_an_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("PAVANE_NAMESPACE=from_file\nPAVANE_PREFETCH=7\nOTHER=1\n")
    monkeypatch.setenv("PAVANE_PREFETCH", "9")
    settings = Settings.read(file)
    assert (settings.namespace, settings.prefetch) == ("from_file", 9)
    with pytest.raises(SettingsError, match="is not a file"):
        Settings.read(tmp_path / "missing")


def test_an_unknown_variable_in_an_env_file_is_a_warning_too(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("PAVANE_SHARD=3\n")
    with pytest.warns(UserWarning, match="PAVANE_SHARD .*PAVANE_SHARDS"):
        Settings.read(file)
