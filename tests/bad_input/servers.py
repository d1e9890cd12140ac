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
        advises: part of the error's remedy.
        exit_code: of `pavane run`.
    """

    urls: Callable[[str, str, int], Urls]
    says: str
    advises: str
    exit_code: int


def place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"


def setting(
    what: str, urls: Callable[[str, str, int], Urls], says: str, remedy: str, advises: str
) -> BadServer:
    return BadServer(
        what=what,
        code="settings_error",
        seen="the start is refused, `pavane run` ends with 2",
        urls=urls,
        says=says,
        advises=advises,
        exit_code=2,
        remedy=remedy,
    )


def unreachable(
    what: str, code: str, urls: Callable[[str, str, int], Urls], says: str, remedy: str, advises: str
) -> BadServer:
    return BadServer(
        what=what,
        code=code,
        seen="the start is refused, `pavane run` ends with 4",
        urls=urls,
        says=says,
        advises=advises,
        exit_code=4,
        remedy=remedy,
    )


AMQP = "Give `amqp://user:password@host:5672/vhost`, or `amqps://`; percent-encode special characters."
NAMED = "Correct the variables named above."
REDIS = "Give `redis://:password@host:6379/0`, or `rediss://`; percent-encode special characters."

CASES = (
    setting(
        "neither `PAVANE_BROKER_URL` nor `PAVANE_STATE_URL`",
        lambda broker, state, nobody: (None, None),
        "PAVANE_BROKER_URL and PAVANE_STATE_URL",
        "Set both; or say `--embedded` (in memory, nothing is kept). Nothing falls back by itself.",
        "or run with --embedded",
    ),
    setting(
        "only one of the two",
        lambda broker, state, nobody: (broker, None),
        "PAVANE_STATE_URL",
        "Set the other.",
        "or run with --embedded",
    ),
    setting(
        "a broker URL of another scheme",
        lambda broker, state, nobody: (f"http://u:{SECRET}@{place(broker)}", state),
        "PAVANE_BROKER_URL: each URL has to start with amqp://",
        AMQP,
        NAMED,
    ),
    setting(
        "a broker URL without host, or that is none",
        lambda broker, state, nobody: ("localhost:5672", state),
        "PAVANE_BROKER_URL",
        AMQP,
        NAMED,
    ),
    setting(
        "a state URL of another scheme",
        lambda broker, state, nobody: (broker, f"memcached://u:{SECRET}@{place(state)}"),
        "PAVANE_STATE_URL: each URL has to start with redis://",
        REDIS,
        NAMED,
    ),
    setting(
        "a password with `/` or `@` that is not percent-encoded",
        lambda broker, state, nobody: (f"amqp://u:{SECRET}/@:x@{place(broker)}/", state),
        "PAVANE_BROKER_URL",
        AMQP,
        NAMED,
    ),
    setting(
        "a sentinel's URL without the name of the master",
        lambda broker, state, nobody: (broker, f"redis+sentinel://u:{SECRET}@{place(state)}"),
        "a sentinel's URL ends with the name of the master",
        "Write `redis+sentinel://host:26379/mymaster`.",
        "Write redis+sentinel://host:26379/mymaster",
    ),
    unreachable(
        "a server that is part of no cluster, where a cluster should be",
        "state_unavailable",
        lambda broker, state, nobody: (broker, f"redis+cluster://{place(state)}"),
        "knows no cluster",
        "Say redis:// if it is one server.",
        "Say redis:// in PAVANE_STATE_URL if it is one server",
    ),
    unreachable(
        "nobody listens where RabbitMQ should be",
        "broker_unavailable",
        lambda broker, state, nobody: (f"amqp://u:{SECRET}@127.0.0.1:{nobody}/", state),
        "(virtual host /): connection refused",
        "Start RabbitMQ, or correct the URL. Once a process has started, it waits for servers by itself.",
        "Start RabbitMQ, or correct host and port in PAVANE_BROKER_URL",
    ),
    unreachable(
        "nobody listens where Redis should be",
        "state_unavailable",
        lambda broker, state, nobody: (broker, f"redis://:{SECRET}@127.0.0.1:{nobody}/0"),
        "Redis cannot be reached: connection refused [127.0.0.1:",
        "Start Redis, or correct the URL.",
        "Start Redis, or correct host and port in PAVANE_STATE_URL",
    ),
    unreachable(
        "a host for RabbitMQ that does not exist",
        "broker_unavailable",
        lambda broker, state, nobody: (f"amqp://u:{SECRET}@no-such-host.invalid/", state),
        "RabbitMQ at no-such-host.invalid:5672 (virtual host /): its host is not known",
        "Correct the host in the URL.",
        "Correct the host in PAVANE_BROKER_URL",
    ),
    unreachable(
        "a host for Redis that does not exist",
        "state_unavailable",
        lambda broker, state, nobody: (broker, f"redis://:{SECRET}@no-such-host.invalid:6379/0"),
        "[no-such-host.invalid:6379, database 0]",
        "Correct the host in the URL.",
        "Correct the host in PAVANE_STATE_URL",
    ),
    unreachable(
        "a wrong user or password for RabbitMQ",
        "broker_unavailable",
        lambda broker, state, nobody: (f"amqp://guest:{SECRET}@{place(broker)}/", state),
        "user name or password refused",
        "Correct the URL; `rabbitmqctl authenticate_user` tries a password.",
        "`rabbitmqctl authenticate_user`",
    ),
    unreachable(
        "a virtual host that does not exist, or that the user may not use",
        "broker_unavailable",
        lambda broker, state, nobody: (f"{broker.rstrip('/')}/no_such_vhost", state),
        "(virtual host no_such_vhost): the virtual host does not exist, or this user may not use it",
        "`rabbitmqctl add_vhost` or `rabbitmqctl set_permissions`, or correct the end of the URL.",
        "`rabbitmqctl add_vhost`",
    ),
    unreachable(
        "a database of Redis that does not exist",
        "state_unavailable",
        lambda broker, state, nobody: (broker, f"redis://{place(state)}/999"),
        "Redis has no such database",
        "Correct the number at the end of the URL.",
        "`redis-cli CONFIG GET databases`",
    ),
    unreachable(
        "`amqps://` for a port of RabbitMQ that speaks no TLS",
        "broker_unavailable",
        lambda broker, state, nobody: (f"amqps://u:{SECRET}@{place(broker)}/", state),
        "(virtual host /): TLS failed",
        "Say `amqp://`, or give the port that speaks TLS.",
        "Say amqp:// in PAVANE_BROKER_URL",
    ),
    unreachable(
        "`rediss://` for a port of Redis that speaks no TLS: it waits for the end of a line (5 s)",
        "state_unavailable",
        lambda broker, state, nobody: (broker, f"rediss://:{SECRET}@{place(state)}/0"),
        "Redis did not answer in time",
        "Say `redis://`, or give the port that speaks TLS.",
        "whether PAVANE_STATE_URL says rediss:// where the port wants TLS",
    ),
    unreachable(
        "the URL of Redis for RabbitMQ: it waits for the end of a line (5 s)",
        "broker_unavailable",
        lambda broker, state, nobody: (f"amqp://u:{SECRET}@{place(state)}/", state),
        "(virtual host /): no answer in time",
        "Correct the port.",
        "correct host and port in PAVANE_BROKER_URL",
    ),
    unreachable(
        "the URL of RabbitMQ for Redis",
        "state_unavailable",
        lambda broker, state, nobody: (broker, f"redis://:{SECRET}@{place(broker)}/0"),
        "Redis cannot be reached: what listens there speaks another protocol",
        "Correct the port.",
        "Correct host and port in PAVANE_STATE_URL",
    ),
)

WRONG_PASSWORD = Case(
    what="a wrong password for Redis, or none where it wants one",
    code="state_unavailable",
    seen="the start is refused at once, `pavane run` ends with 4",
    remedy="Correct the URL.",
)
FULL = Case(
    what="a Redis whose memory is full when a process starts, or when a run does",
    code="state_unavailable",
    seen="the start is refused, `pavane run` and `pavane start` end with 4; running processes wait",
    remedy="`redis-cli INFO memory`, then `redis-cli CONFIG SET maxmemory`, and set it in redis.conf.",
)
REPLICA = Case(
    what="the URL of a replica of Redis",
    code="state_unavailable",
    seen="the start is refused, `pavane run` and `pavane start` end with 4; running processes wait",
    remedy="Name the master; `redis-cli INFO replication` says where it is.",
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
    seen="the start is refused, `pavane run` ends with 5; running processes stop working and say so",
    remedy="Restore Redis; or accept the loss: `pavane topology apply --new-epoch`.",
)

GROUPS = (
    Group(
        title="Settings and servers",
        about="Checked before anything is consumed. The error names the variable or the server, never a password, "
        "and says what to do.",
        cases=(*CASES, WRONG_PASSWORD, FULL, REPLICA, EVICTS, NOT_STRICT, OTHER_SHARDS, EMPTIED),
    ),
)
