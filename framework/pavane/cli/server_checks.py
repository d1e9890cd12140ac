"""Checks of the two servers by themselves: their versions, and what Redis may lose."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import aiormq
from redis.exceptions import RedisError, ResponseError

from pavane.adapters.redis.clients import servers
from pavane.cli.findings import Finding, error, not_seen, ok, warning
from pavane.errors import PavaneError
from pavane.settings import Settings

PATIENCE: Final = 2.0
"""Seconds; the server has answered a moment ago."""

OLDEST_BROKER: Final = (3, 10)
OLDEST_STATE: Final = (7, 0)

ALMOST_FULL: Final = 0.9
"""Share of `maxmemory` from which on operators are warned."""

FORBIDDEN: Final = "this user may not read Redis's configuration"
MAY_ASK: Final = "Permit it: `redis-cli ACL SETUSER NAME +info +config|get`."


async def broker_version(settings: Settings) -> Finding:
    """RabbitMQ says its version to whoever connects."""
    name = "broker_version"
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await aiormq.connect(settings.broker_urls[0])
            said: Mapping[str, Any] = connection.server_properties
            await connection.close()
    except (aiormq.exceptions.AMQPError, OSError, TimeoutError) as refusal:
        return not_seen(name, type(refusal).__name__, "See broker_connection.")
    version = said.get("version", b"")
    text = version.decode() if isinstance(version, bytes) else str(version)
    return judge_version(name, "RabbitMQ", text, OLDEST_BROKER)


def judge_version(name: str, server: str, version: str, oldest: tuple[int, int]) -> Finding:
    needed = ".".join(map(str, oldest))
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None:
        return not_seen(
            name, f"{server} does not say its version", f"Compare it yourself with {server} {needed}."
        )
    if (int(found[1]), int(found[2])) < oldest:
        return error(name, f"{server} {version} is too old.", f"Upgrade to {server} {needed} or later.")
    return ok(name, f"{server} {version}")


@dataclass(frozen=True, slots=True)
class StateFacts:
    """What Redis says about itself; an empty mapping where this user may not ask."""

    server: Mapping[str, Any]
    persistence: Mapping[str, Any]
    memory: Mapping[str, Any]
    config: Mapping[str, str]


async def state_checks(settings: Settings) -> list[Finding]:
    """`state_version`, `persistence` and `eviction`, of a server that answers."""
    try:
        async with asyncio.timeout(PATIENCE):
            found = await _ask(str(settings.state_url))
    except (RedisError, PavaneError, OSError, TimeoutError) as refusal:
        return state_not_seen(type(refusal).__name__)
    judged = [(place, judge(facts, settings.durability)) for place, facts in found.items()]
    if len(judged) == 1:
        return judged[0][1]
    return [_worst([(place, checks[at]) for place, checks in judged]) for at in range(3)]


def judge(facts: StateFacts, durability: str) -> list[Finding]:
    """One server by itself."""
    version = str(facts.server.get("redis_version", ""))
    return [
        judge_version("state_version", "Redis", version, OLDEST_STATE),
        judge_persistence(facts, durability),
        judge_eviction(facts),
    ]


def _worst(findings: Sequence[tuple[str, Finding]]) -> Finding:
    """What the masters of a cluster say of one check: the first of the worst answers, and whose it is."""
    ranks = ("error", "warning", "ok")
    place, worst = min(findings, key=lambda one: ranks.index(one[1].status))
    return worst if worst.status == "ok" else replace(worst, summary=f"{place}: {worst.summary}")


def state_not_seen(why: str) -> list[Finding]:
    """The same, of one that does not answer."""
    names = ("state_version", "persistence", "eviction")
    return [not_seen(name, why, "See state_connection.") for name in names]


async def _ask(urls: str) -> dict[str, StateFacts]:
    """What each server says, by its place."""
    clients = await servers(urls, PATIENCE)
    try:
        return {place: await _facts(client) for place, client in clients}
    finally:
        for _, client in clients:
            await client.aclose()


async def _facts(client: Any) -> StateFacts:
    return StateFacts(
        server=await _mapping(client.info("server")),
        persistence=await _mapping(client.info("persistence")),
        memory=await _mapping(client.info("memory")),
        config=await _mapping(client.config_get("append*", "save", "maxmemory-policy")),
    )


async def _mapping(asked: Any) -> dict[str, Any]:
    try:
        return dict(await asked)
    except ResponseError:
        return {}  # this user may not ask; the check says so


def judge_persistence(facts: StateFacts, durability: str) -> Finding:
    """What a crash can take back, in words."""
    name, config = "persistence", facts.config
    if "appendonly" not in config:
        return not_seen(name, FORBIDDEN, MAY_ASK)
    if facts.persistence.get("aof_last_write_status", "ok") != "ok":
        return error(
            name,
            "Redis cannot write its append-only file.",
            "Make room on its disk: `redis-cli CONFIG GET dir` says where, its log what failed.",
        )
    remedy = _set("appendonly yes", "appendfsync everysec")
    if config["appendonly"] != "yes":
        if not config.get("save"):
            return error(name, "Redis keeps nothing on disk: a restart loses every run.", remedy)
        return error(name, "Redis only takes snapshots: a crash loses all since the last one.", remedy)
    policy = config.get("appendfsync", "")
    if durability == "strict" and policy != "always":
        return error(
            name, f"PAVANE_DURABILITY=strict, but appendfsync is {policy}.", _set("appendfsync always")
        )
    if policy == "always":
        return ok(name, "Redis writes every commit to disk before it answers.")
    if policy == "everysec":
        return ok(
            name, "A power cut can take back the last second, two on a busy disk (appendfsync everysec)."
        )
    return warning(name, "A power cut can take back about half a minute (appendfsync no).", remedy)


def _set(*settings: str) -> str:
    commands = " and ".join(f"`redis-cli CONFIG SET {one}`" for one in settings)
    return f"Run {commands}, and set the same in redis.conf."


def judge_eviction(facts: StateFacts) -> Finding:
    """What a full Redis does, and whether it is full: one that evicts nothing refuses new work then."""
    name, policy = "eviction", facts.config.get("maxmemory-policy")
    if policy is None:
        return not_seen(name, FORBIDDEN, MAY_ASK)
    if policy != "noeviction":
        return error(
            name,
            f"maxmemory-policy is {policy}: a full Redis throws away records of living runs.",
            _set("maxmemory-policy noeviction"),
        )
    used, most = (int(facts.memory.get(field, 0)) for field in ("used_memory", "maxmemory"))
    if most == 0 or used < ALMOST_FULL * most:
        return ok(name, "Redis throws nothing away (noeviction).")
    remedy = (
        "Raise it: `redis-cli CONFIG SET maxmemory 2gb` (or what the machine has), and set it in redis.conf."
    )
    if used < most:
        return warning(name, f"Redis uses {used:,} of {most:,} bytes: it is almost full.", remedy)
    summary = f"Redis is full ({used:,} of {most:,} bytes): nothing begins until it has room."
    return error(name, summary, remedy)
