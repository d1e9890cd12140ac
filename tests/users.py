"""Servers started from what `pavane topology export` writes: nobody is known to them but its users."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from tests.integration.cli_runner import Pavane
from tests.servers import RabbitServer, RedisServer


@dataclass(frozen=True)
class Users:
    """The users of a namespace, all with one password; on Redis there is an administrator without besides.

    Attributes:
        definitions: the file that RabbitMQ was started from.
        newcomer: a user like `outside` that is in it as it was exported.
    """

    namespace: str
    rabbit: RabbitServer
    redis: RedisServer
    password: str
    definitions: Path

    @property
    def newcomer(self) -> str:
        return f"{self.namespace}.newcomer"

    def service(self, name: str) -> dict[str, str]:
        """The environment of a service's process."""
        return self._environment(f"{self.namespace}.service.{name}") | {"PAVANE_DECLARE": "never"}

    @property
    def outside(self) -> dict[str, str]:
        """The environment of a client."""
        return self._environment(f"{self.namespace}.outside")

    @property
    def operator(self) -> dict[str, str]:
        """The environment of whoever declares and mends."""
        return self._environment(f"{self.namespace}.operator")

    def _environment(self, user: str) -> dict[str, str]:
        who = f"//{user}:{self.password}@"
        return {
            "PAVANE_NAMESPACE": self.namespace,
            "PAVANE_BROKER_URL": self.rabbit.url.replace("//guest:guest@", who),
            "PAVANE_STATE_URL": self.redis.url.replace("//", who),
        }


@contextmanager
def servers_of(namespace: str, apps: Sequence[str]) -> Iterator[Users]:
    """Both servers, as an administrator starts them: with the exported files and the users' passwords in them."""
    pavane = Pavane.on(PAVANE_NAMESPACE=namespace)
    password = secrets.token_hex(8)
    definitions = pavane.json("topology", "export", *apps, "--definitions")
    *_, outside, _ = definitions["users"]
    newcomer = outside | {"name": f"{namespace}.newcomer"}
    for user in definitions["users"]:
        user["password_hash"] = hashed(password)
    definitions["users"].append(newcomer)
    definitions["permissions"] += [
        permission | {"user": newcomer["name"]}
        for permission in definitions["permissions"]
        if permission["user"] == outside["name"]
    ]
    acl = pavane("topology", "export", *apps, "--redis-acl")
    assert acl.code == 0, acl
    lines = [f"{line} >{password}\n" for line in acl.out.splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "definitions.json"), Path(folder, "users.acl")
        files[0].write_text(json.dumps(definitions))
        files[1].write_text("".join([*lines, "user default on nopass ~* &* +@all\n"]))
        rabbit = RabbitServer(options={"load_definitions": str(files[0])})
        redis = RedisServer(options={"aclfile": str(files[1])})
        try:
            yield Users(namespace, rabbit.start(), redis.start(), password, files[0])
        finally:
            rabbit.close()
            redis.close()


def hashed(password: str) -> str:
    """As `rabbitmqctl hash_password` makes it."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def refusals(redis: RedisServer) -> list[str]:
    """What Redis has refused to its users since it was started: command, key or channel."""
    with Redis.from_url(redis.url, decode_responses=True) as root:
        log: list[dict[str, Any]] = root.acl_log()
    return [f"{entry['reason']} {entry['object']}" for entry in log]
