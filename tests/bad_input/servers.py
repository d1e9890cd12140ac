"""Settings and servers that cannot be used: the start is refused, with the exit code that the command gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.bad_input.case import Case, Group

SECRET = "n0t-the-passw0rd"
"""In every URL that has a password; it must not be seen anywhere."""

Urls = tuple[str | None, str | None]


@dataclass(frozen=True, kw_only=True)
class BadServer(Case):
    """A pair of URLs (broker, state) that `App.running` refuses.

    Attributes:
        urls: makes it from the good ones and a port where nobody listens.
        says: part of the error.
        exit_code: of `pavane run`.
    """

    urls: Callable[[str, str, int], Urls]
    says: str
    exit_code: int


def place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"


def setting(what: str, urls: Callable[[str, str, int], Urls], says: str, remedy: str) -> BadServer:
    return BadServer(
        what=what,
        code="settings_error",
        seen="the start is refused, `pavane run` ends with 2",
        urls=urls,
        says=says,
        exit_code=2,
        remedy=remedy,
    )


def unreachable(
    what: str, code: str, urls: Callable[[str, str, int], Urls], says: str, remedy: str
) -> BadServer:
    return BadServer(
        what=what,
        code=code,
        seen="the start is refused at once, `pavane run` ends with 4",
        urls=urls,
        says=says,
        exit_code=4,
        remedy=remedy,
    )


AMQP = "Give `amqp://user:password@host:5672/vhost`, or `amqps://`; percent-encode special characters."
REDIS = "Give `redis://:password@host:6379/0`, or `rediss://`; percent-encode special characters."

CASES = (
    setting(
        "neither `PAVANE_BROKER_URL` nor `PAVANE_STATE_URL`",
        lambda broker, state, nobody: (None, None),
        "PAVANE_BROKER_URL and PAVANE_STATE_URL",
        "Set both; or say `--embedded` (in memory, nothing is kept). Nothing falls back by itself.",
    ),
    setting(
        "only one of the two",
        lambda broker, state, nobody: (broker, None),
        "PAVANE_STATE_URL",
        "Set the other.",
    ),
    setting(
        "a broker URL of another scheme",
        lambda broker, state, nobody: (f"http://u:{SECRET}@{place(broker)}", state),
        "PAVANE_BROKER_URL: each URL has to start with amqp://",
        AMQP,
    ),
    setting(
        "a broker URL without host, or that is none",
        lambda broker, state, nobody: ("localhost:5672", state),
        "PAVANE_BROKER_URL",
        AMQP,
    ),
    setting(
        "a state URL of another scheme",
        lambda broker, state, nobody: (broker, f"memcached://u:{SECRET}@{place(state)}"),
        "PAVANE_STATE_URL: each URL has to start with redis://",
        REDIS,
    ),
    setting(
        "a password with `/` or `@` that is not percent-encoded",
        lambda broker, state, nobody: (f"amqp://u:{SECRET}/@:x@{place(broker)}/", state),
        "PAVANE_BROKER_URL",
        AMQP,
    ),
    setting(
        "Redis Sentinel or Cluster, which this version cannot use yet",
        lambda broker, state, nobody: (broker, f"redis+cluster://u:{SECRET}@{place(state)}"),
        "is not supported by this version",
        "Give the URL of one server.",
    ),
    unreachable(
        "nobody listens where RabbitMQ should be",
        "broker_unavailable",
        lambda broker, state, nobody: (f"amqp://u:{SECRET}@127.0.0.1:{nobody}/", state),
        "RabbitMQ at 127.0.0.1:",
        "Start RabbitMQ, or correct the URL. Once a process has started, it waits for servers by itself.",
    ),
    unreachable(
        "nobody listens where Redis should be",
        "state_unavailable",
        lambda broker, state, nobody: (broker, f"redis://:{SECRET}@127.0.0.1:{nobody}/0"),
        "Redis",
        "Start Redis, or correct the URL.",
    ),
    unreachable(
        "a wrong user or password for RabbitMQ",
        "broker_unavailable",
        lambda broker, state, nobody: (f"amqp://guest:{SECRET}@{place(broker)}/", state),
        "user name or password refused",
        "Correct the URL; `rabbitmqctl authenticate_user` tries a password.",
    ),
    unreachable(
        "a virtual host that does not exist",
        "broker_unavailable",
        lambda broker, state, nobody: (f"{broker.rstrip('/')}/no_such_vhost", state),
        "no_such_vhost",
        "`rabbitmqctl add_vhost`, or correct the end of the URL.",
    ),
    unreachable(
        "the URL of Redis for RabbitMQ",
        "broker_unavailable",
        lambda broker, state, nobody: (f"amqp://u:{SECRET}@{place(state)}/", state),
        "RabbitMQ at",
        "Correct the port.",
    ),
    unreachable(
        "the URL of RabbitMQ for Redis",
        "state_unavailable",
        lambda broker, state, nobody: (broker, f"redis://:{SECRET}@{place(broker)}/0"),
        "Redis",
        "Correct the port.",
    ),
)

WRONG_PASSWORD = Case(
    what="a wrong password for Redis, or none where it wants one",
    code="state_unavailable",
    seen="the start is refused at once, `pavane run` ends with 4",
    remedy="Correct the URL.",
)
EVICTS = Case(
    what="a Redis that evicts: `maxmemory-policy` other than `noeviction`",
    code="settings_error",
    seen="the start is refused, `pavane run` ends with 2; `pavane doctor` (`eviction`)",
    remedy="`redis-cli CONFIG SET maxmemory-policy noeviction`, and set it in redis.conf.",
)
NOT_STRICT = Case(
    what="`PAVANE_DURABILITY=strict` with a Redis that does not write to disk before it answers",
    code="settings_error",
    seen="the start is refused, `pavane run` ends with 2; `pavane doctor` (`persistence`)",
    remedy="`redis-cli CONFIG SET appendonly yes` and `redis-cli CONFIG SET appendfsync always`, "
    "and set both in redis.conf.",
)
OTHER_SHARDS = Case(
    what="another `PAVANE_SHARDS` than the namespace was made with",
    code="settings_error",
    seen="the start is refused, `pavane run` ends with 2",
    remedy="Set the number that the error names: it is fixed for the life of a namespace.",
)
EMPTIED = Case(
    what="a Redis that was emptied while RabbitMQ still has the namespace",
    code="state_lost",
    seen="the start is refused, `pavane run` ends with 4; running processes stop working and say so",
    remedy="Restore Redis; or accept the loss: `pavane topology apply --new-epoch`.",
)

GROUPS = (
    Group(
        title="Settings and servers",
        about="Checked before anything is consumed. The error names the variable or the server, never a password.",
        cases=(*CASES, WRONG_PASSWORD, EVICTS, NOT_STRICT, OTHER_SHARDS, EMPTIED),
    ),
)
