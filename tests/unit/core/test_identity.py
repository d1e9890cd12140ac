"""Ids come out the same wherever they are made, and differ wherever they must."""

from __future__ import annotations

import uuid

import pytest

from pavane.core import identity


@pytest.mark.parametrize("name", ["", "a", "chain:1/one.first:e/event/0", "Ünïcödé/☃"])
def test_derived_ids_are_version_5_uuids(name: str) -> None:
    assert identity.derived(name) == str(uuid.uuid5(identity.NAMESPACE, name))


def test_what_a_step_emits_is_told_apart_by_place_and_kind() -> None:
    ids = {
        identity.emitted_id("chain:1", "one.first:e", place, kind)
        for place in (0, 1)
        for kind in ("event", "timer")
    }
    assert len(ids) == 4
    assert identity.emitted_id("chain:1", "one.first:e", 0) in ids


def test_a_step_and_its_undo_have_keys_of_their_own() -> None:
    step = identity.idempotency_key("chain:1", "one.first:e", "step")
    undo = identity.idempotency_key("chain:1", "one.first:e", "undo")
    assert step != undo


def test_shards_are_spread_and_stay() -> None:
    shards = [identity.shard_of(f"chain:{number}", 16) for number in range(2_000)]
    assert set(shards) == set(range(16))
    assert identity.shard_of("chain:1", 16) == 12, "moving a run to another shard would lose sight of it"
