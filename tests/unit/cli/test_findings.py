"""What doctor makes of what the servers say."""

from __future__ import annotations

from typing import Any

import pytest

from pavane.adapters.rabbitmq.oversight import Permissions, Policy, QueueOversight
from pavane.cli.broker_checks import (
    judge_consumer_timeout,
    judge_dead_lettering,
    judge_permissions,
    judge_policies,
)
from pavane.cli.server_checks import StateFacts, judge_eviction, judge_persistence, judge_version
from pavane.core.topology import Names


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


NAMES = Names("shop")
QUEUE = NAMES.queue("stock", "reserve")
OWN = r"^shop\."


def queue(*policies: Policy, leaving: int = 0) -> QueueOversight:
    return QueueOversight(name=QUEUE, imposed=policies, leaving=leaving, leads_to=NAMES.intake("stock"))


def policy(**sets: Any) -> Policy:
    return Policy(
        name="tidy up", kind="policy", sets={key.replace("_", "-"): value for key, value in sets.items()}
    )


@pytest.mark.parametrize(
    ("sets", "status"),
    [
        ({"message_ttl": 1}, "error"),
        ({"expires": 1}, "error"),
        ({"max_length_bytes": 1}, "error"),
        ({"delivery_limit": 19}, "error"),
        ({"delivery_limit": 20}, "ok"),
        ({"overflow": "drop-head"}, "warning"),
        ({"dead_letter_exchange": "x", "message_ttl": 1}, "error"),
        ({"queue_leader_locator": "balanced"}, "ok"),
    ],
)
def test_a_policy_is_judged_by_what_takes_effect(sets: dict[str, Any], status: str) -> None:
    found = judge_policies([queue(policy(**sets)), queue()], "/")
    assert found.status == status
    assert found.remedy == (None if status == "ok" else "`rabbitmqctl clear_policy -p / 'tidy up'`")


@pytest.mark.parametrize(("before", "after", "status"), [(0, 5, "ok"), (5, 0, "ok"), (5, 3, "error")])
def test_a_message_is_stuck_if_it_was_leaving_a_while_ago_and_still_is(
    before: int, after: int, status: str
) -> None:
    found = judge_dead_lettering([queue(leaving=before)], [queue(leaving=after)])
    assert found.status == status
    assert ("3 messages" in found.summary) == (status == "error")


@pytest.mark.parametrize(
    ("configure", "write", "read", "declares", "says"),
    [
        (".*", ".*", ".*", True, "the queues of all workers"),
        ("", ".*", ".*", True, "may not declare shop.event.pavane."),
        ("", ".*", ".*", False, "the queues of all workers"),
        ("", OWN, r"\.stock", False, "the queues of stock.reserve."),
        ("", OWN, "^$", False, "may not read shop.q.mail.confirm"),
        ("", r"^shop\.(jobs|dlx|delay)", ".*", False, "may not write to shop.event.pavane."),
        ("(?|x)", ".*", ".*", True, "not seen"),
    ],
)
def test_a_user_needs_what_a_process_does(
    configure: str, write: str, read: str, declares: bool, says: str
) -> None:
    may = Permissions(configure=configure, write=write, read=read)
    found = judge_permissions("a b", "/", may, NAMES, ["mail.confirm", "stock.reserve"], declares=declares)
    assert says in found.summary
    if found.status == "error":
        assert (found.remedy or "").startswith("`rabbitmqctl set_permissions -p / 'a b' ")


def test_what_the_app_accepts_is_not_too_long() -> None:
    assert judge_consumer_timeout([], known=True).status == "ok"
    assert judge_consumer_timeout([], known=False).summary.startswith("not seen")
    two = judge_consumer_timeout([("a.b", "Its lease is 7200 s."), ("c.d", "")], known=True)
    assert (two.status, "a.b (and 1 more workers)" in two.summary) == ("error", True)
