"""The audit: a stream with one line of JSON for each change that somebody has made."""

from __future__ import annotations

import orjson

from pavane.adapters.redis.documents import to_json
from pavane.adapters.redis.server import Server
from pavane.ports.store import AuditLine, Place


class Audit:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._key = server.keys.audit()

    async def add(self, line: AuditLine, *, kept: int) -> None:
        document = {
            "by": line.by,
            "reason": line.reason,
            "action": line.action,
            "subjects": line.subjects,
            "outcome": line.outcome,
        }
        await self._server.script("audit", self._key, [b"%d" % kept, to_json(document)])

    async def lines(self, *, since: int, after: Place | None, limit: int) -> list[AuditLine]:
        call = {
            "from": str(since) if since else "-",
            "until_": f"({after.key}" if after else "+",
            "limit": limit,
        }
        found = await self._server.script("audited", self._key, [b"", orjson.dumps(call)])
        return [_line(id_, fields[1]) for id_, fields in found]


def _line(id_: bytes, stored: bytes) -> AuditLine:
    key, document = id_.decode(), orjson.loads(stored)
    document["subjects"] = tuple(document["subjects"])
    return AuditLine(place=Place(at=int(key.partition("-")[0]), key=key), **document)
