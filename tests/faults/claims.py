"""A relay's claims on its shards, which outlive it by twenty seconds."""

from __future__ import annotations

import redis

from tests.crash.stage import Stage
from tests.servers import RedisServer


def forget_claims(stage: Stage, server: RedisServer) -> None:
    """Let the claims of a relay that died or froze be over now."""
    client = redis.Redis.from_url(server.url)
    claims = list(client.scan_iter(f"{stage.settings.namespace}:*relay*"))
    assert claims, "no claim was found: are they called otherwise by now?"
    client.delete(*claims)
