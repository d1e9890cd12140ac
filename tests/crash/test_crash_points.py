"""What `PAVANE_CRASH` takes."""

from __future__ import annotations

import pytest

from pavane import SettingsError
from pavane.runtime.crash_points import from_environment, pass_by


def test_without_it_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAVANE_CRASH", raising=False)
    assert from_environment() is pass_by


@pytest.mark.parametrize("value", ["commit", "commit:", "commit:0", "commit:-1", "commit:x", "lunch:1", ":1"])
def test_what_names_no_point_is_refused_with_those_there_are(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAVANE_CRASH", value)
    with pytest.raises(SettingsError, match="is not <point>:<n>") as caught:
        from_environment()
    assert "retry_published" in caught.value.remedy


def test_the_process_dies_the_nth_time_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr("os.kill", lambda pid, number: killed.append(number))
    monkeypatch.setenv("PAVANE_CRASH", "commit:2")
    passed = from_environment()
    for point in ("begin", "commit", "publish"):
        passed(point, "a.b", "step")
    assert killed == []
    passed("commit", "a.b", "undo")
    assert len(killed) == 1
