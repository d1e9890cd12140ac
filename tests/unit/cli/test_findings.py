"""What doctor makes of what the servers say."""

from __future__ import annotations

import pytest

from pavane.cli.server_checks import StateFacts, judge_eviction, judge_persistence, judge_version


def facts(aof: str = "ok", **config: str) -> StateFacts:
    return StateFacts(server={}, persistence={"aof_last_write_status": aof}, memory={}, config=config)


def using(used: int, most: int, policy: str = "noeviction") -> StateFacts:
    memory = {"used_memory": used, "maxmemory": most}
    return StateFacts(server={}, persistence={}, memory=memory, config={"maxmemory-policy": policy})


@pytest.mark.parametrize(
    ("given", "durability", "status", "says"),
    [
        (facts(appendonly="yes", appendfsync="always"), "strict", "ok", "before it answers"),
        (facts(appendonly="yes", appendfsync="everysec"), "standard", "ok", "last second"),
        (facts(appendonly="yes", appendfsync="everysec"), "strict", "error", "strict"),
        (facts(appendonly="yes", appendfsync="no"), "standard", "warning", "half a minute"),
        (facts(appendonly="no", save="60 1"), "standard", "error", "snapshots"),
        (facts(appendonly="no", save=""), "standard", "error", "nothing on disk"),
        (facts("err", appendonly="yes", appendfsync="always"), "standard", "error", "cannot write"),
        (facts(), "standard", "warning", "not seen"),
    ],
)
def test_what_a_crash_can_take_back_is_said_in_words(
    given: StateFacts, durability: str, status: str, says: str
) -> None:
    finding = judge_persistence(given, durability)
    assert finding.status == status
    assert bool(finding.remedy) == (status != "ok")
    assert says in finding.summary


def test_a_redis_that_evicts_is_an_error_with_the_command_that_mends_it() -> None:
    finding = judge_eviction(using(1, 0, "allkeys-lru"))
    assert finding.status == "error"
    assert "CONFIG SET maxmemory-policy noeviction" in (finding.remedy or "")
    unseen = judge_eviction(facts())
    assert unseen.summary.startswith("not seen")
    assert "ACL SETUSER" in (unseen.remedy or "")


@pytest.mark.parametrize(
    ("used", "most", "status", "says"),
    [
        (5_000, 0, "ok", "throws nothing away"),  # no limit but the machine's
        (899, 1_000, "ok", "throws nothing away"),
        (900, 1_000, "warning", "900 of 1,000 bytes"),
        (1_000, 1_000, "error", "nothing begins"),
    ],
)
def test_a_redis_that_is_full_or_nearly_is_named_before_somebody_looks_for_it(
    used: int, most: int, status: str, says: str
) -> None:
    finding = judge_eviction(using(used, most))
    assert finding.status == status
    assert says in finding.summary
    assert ("CONFIG SET maxmemory" in (finding.remedy or "")) == (status != "ok")


@pytest.mark.parametrize(
    ("version", "status"), [("3.10.8", "ok"), ("4.1.0-rc.1", "ok"), ("3.9.30", "error"), ("?", "warning")]
)
def test_versions_are_compared_as_numbers(version: str, status: str) -> None:
    finding = judge_version("broker_version", "RabbitMQ", version, (3, 10))
    assert finding.status == status
    assert bool(finding.remedy) == (status != "ok")
