"""What a dead letter's fingerprint is made of: worker, exception type, innermost frame of the user's own code."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import pytest

from pavane.runtime import verdicts
from pavane.runtime.verdicts import fingerprint, is_users, user_frame


def broken() -> None:
    json.loads("{")


def test_the_frame_is_the_users_innermost_not_the_librarys() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        broken()
    assert user_frame(caught.tb) == "test_fingerprint.py:broken"
    assert user_frame(None) == ""


@pytest.mark.parametrize("file", ["/usr/src/app/shop.py", "/usr/local/app/shop.py", "/app/.venv/../shop.py"])
def test_code_beside_an_installation_of_python_is_the_users(file: str) -> None:
    assert is_users(Path(file))


def test_pythons_own_installed_and_pavanes_code_is_not() -> None:
    stdlib = sysconfig.get_path("stdlib")
    installed = "/app/.venv/lib/python3.11/site-packages/httpx/_client.py"
    for file in (f"{stdlib}/json/decoder.py", installed, verdicts.__file__, "<frozen importlib._bootstrap>"):
        assert not is_users(Path(file))


def test_each_of_the_three_makes_another_fingerprint() -> None:
    same = fingerprint("a.b", "ValueError", "shop.py:pay")
    assert same == fingerprint("a.b", "ValueError", "shop.py:pay")
    others = {
        fingerprint("a.c", "ValueError", "shop.py:pay"),
        fingerprint("a.b", "KeyError", "shop.py:pay"),
        fingerprint("a.b", "ValueError", "shop.py:ship"),
    }
    assert len(others | {same}) == 4
