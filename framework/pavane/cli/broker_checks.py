"""Checks of what others have set on RabbitMQ: permissions, policies, how long a message may be held."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Final

from pavane.adapters.rabbitmq.oversight import Permissions, Policy, QueueOversight
from pavane.cli.findings import Finding, error, not_seen, ok, warning
from pavane.core.topology import DELIVERY_LIMIT, FRAMEWORK_EVENTS, LEVELS, Names

IMPOSED: Final = {
    "message-ttl": "messages leave their queue when their time is over",
    "expires": "a queue that nobody uses is deleted with what is in it",
    "delivery-limit": f"a job is given up before its {DELIVERY_LIMIT}th delivery",
    "max-length": "a full queue refuses jobs, delays and dead letters",
    "max-length-bytes": "a full queue refuses jobs, delays and dead letters",
}
"""What takes effect whatever a queue's own arguments say, and what that does to the promises."""

OVERRULED: Final = ("overflow", "dead-letter-exchange", "dead-letter-routing-key", "dead-letter-strategy")
"""What the arguments of pavane's queues overrule; `parked`, which has no dead letters, is the exception."""


# permissions


def judge_permissions(
    user: str, vhost: str, may: Permissions, names: Names, workers: Sequence[str], *, declares: bool
) -> Finding:
    """Whether `user` may do what a process of pavane does.

    Args:
        workers: those that are registered, in full.
        declares: it also declares queues, exchanges and bindings (`PAVANE_DECLARE=auto`).
    """
    name, queues = "broker_permissions", {worker: _queues_of(names, worker) for worker in workers}
    try:
        readable = [worker for worker in workers if all(_matches(may.read, one) for one in queues[worker])]
        exchanges = _exchanges(names, workers if declares else readable)
        lacks = _lacks(may, exchanges, list(chain(*queues.values())), bool(readable), declares)
    except re.error as unreadable:
        why = f"a pattern of {user} that only RabbitMQ understands ({unreadable})"
        return not_seen(
            name, why, f"`{shlex.join(['rabbitmqctl', 'list_permissions', '-p', vhost])}` shows it."
        )
    if lacks:
        more = f" (and {len(lacks) - 1} more)" if len(lacks) > 1 else ""
        remedy = _permit(user, vhost, may, names, declares=declares)
        return error(name, f"{user} may not {lacks[0]}{more}.", remedy)
    whose = "all workers" if len(readable) == len(workers) else ", ".join(readable)
    return ok(name, f"{user} may do what pavane needs, with the queues of {whose}.")


def _lacks(
    may: Permissions, exchanges: Sequence[str], queues: Sequence[str], reads_some: bool, declares: bool
) -> list[str]:
    """What may not be done, in words. A user that declares needs it all; another may be one service's."""
    needs = [("write to", may.write, exchanges)]
    if declares:
        both = (*exchanges, *queues)
        needs += [("declare", may.configure, both), ("bind", may.write, queues), ("read", may.read, both)]
    elif not reads_some:
        needs.append(("read", may.read, queues))
    return [f"{verb} {one}" for verb, pattern, ones in needs for one in ones if not _matches(pattern, one)]


def _permit(user: str, vhost: str, may: Permissions, names: Names, *, declares: bool) -> str:
    """The command that adds what is missing to what the user has."""
    own = rf"^{re.escape(names.namespace)}\."
    patterns = [
        _with(may.configure, own) if declares else may.configure,
        _with(may.write, own),
        _with(may.read, own),
    ]
    return f"`{shlex.join(['rabbitmqctl', 'set_permissions', '-p', vhost, user, *patterns])}`"


def _with(pattern: str, own: str) -> str:
    return own if pattern in ("", "^$") else f"{pattern}|{own}"


def _matches(pattern: str, name: str) -> bool:
    """As RabbitMQ does it: anywhere in the name; an empty pattern matches nothing."""
    return re.search(pattern or "^$", name) is not None


def _exchanges(names: Names, workers: Sequence[str]) -> list[str]:
    """Those that every process of these workers writes to; which events it tells depends on its handlers."""
    found = [*(names.event(event) for event in FRAMEWORK_EVENTS), names.exchange("dlx")]
    for service in dict.fromkeys(worker.partition(".")[0] for worker in workers):
        found += [names.jobs(service), names.letters(service)]
        found += [names.level(service, level) for level in range(LEVELS)]
    return found


def _queues_of(names: Names, worker: str) -> tuple[str, ...]:
    service, _, name = worker.partition(".")
    return names.queue(service, name), names.dead_letter_queue(service, name), names.intake(service)


# policies


def judge_policies(queues: Sequence[QueueOversight], vhost: str) -> Finding:
    """Whether a policy sets what breaks a promise."""
    name = "policies"
    clashing: defaultdict[str, list[tuple[Policy, str]]] = defaultdict(list)
    for queue in queues:
        for policy in queue.imposed:
            for key in filter(lambda key: _clashes(key, policy.sets[key]), policy.sets):
                clashing[key].append((policy, queue.name))
    if not clashing:
        return ok(name, "No policy sets what pavane relies on.")
    keys = sorted(clashing, key=[*IMPOSED, *OVERRULED].index)
    summary = "; ".join(_told(key, clashing[key]) for key in keys) + "."
    remedy = " and ".join(_clear([policy for key in keys for policy, _ in clashing[key]], vhost))
    return (error if set(keys) & set(IMPOSED) else warning)(name, summary, remedy)


def _clashes(key: str, value: object) -> bool:
    if key == "delivery-limit":
        return isinstance(value, int) and value < DELIVERY_LIMIT
    return key in IMPOSED or key in OVERRULED


def _told(key: str, imposed: Sequence[tuple[Policy, str]]) -> str:
    policies = " and ".join(sorted({policy.name for policy, _ in imposed}))
    queues = sorted({queue for _, queue in imposed})
    where = queues[0] if len(queues) == 1 else f"{len(queues)} queues, as {queues[0]}"
    effect = IMPOSED.get(key, "pavane's own arguments overrule it, so it misleads")
    return f"{policies} sets {key} on {where}: {effect}"


def _clear(policies: Sequence[Policy], vhost: str) -> list[str]:
    """The commands that take the policies away."""
    found = sorted({(policy.kind, policy.name) for policy in policies})
    return [f"`{shlex.join(['rabbitmqctl', f'clear_{kind}', '-p', vhost, name])}`" for kind, name in found]


# dead-lettering


def judge_dead_lettering(before: Sequence[QueueOversight], after: Sequence[QueueOversight]) -> Finding:
    """Whether messages stay between a queue and its dead letters; seen twice, because on their way they all do."""
    name = "dead_lettering"
    leaving = {queue.name: queue.leaving for queue in before}
    stuck = [(min(queue.leaving, leaving.get(queue.name, 0)), queue) for queue in after]
    stuck = [(count, queue) for count, queue in stuck if count]
    if not stuck:
        return ok(name, "No message is stuck on its way to the dead letters.")
    count, queue = max(stuck, key=lambda one: one[0])
    more = f" (and {len(stuck) - 1} more queues)" if len(stuck) > 1 else ""
    return error(
        name,
        f"{count} messages of {queue.name} do not reach {queue.leads_to or 'anything'}{more}.",
        "`pavane topology apply APP` declares what is missing there; a queue that is full has to be emptied. "
        "RabbitMQ tries again every three minutes.",
    )


# how long a message may be held


def judge_consumer_timeout(too_long: Sequence[tuple[str, str]], *, known: bool) -> Finding:
    """What handlers may hold longer than RabbitMQ's default; what this broker has no interface tells.

    Args:
        too_long: workers, and what is to be said of each; without those that the app allows.
        known: an app was given to look at.
    """
    name = "consumer_timeout"
    if not known:
        return not_seen(
            name,
            "without an app it is not known how long handlers take",
            "`pavane doctor --app module:app`, or set PAVANE_APP.",
        )
    if not too_long:
        return ok(name, "No handler may take longer than half an hour, RabbitMQ's default.")
    worker, said = too_long[0]
    more = f" (and {len(too_long) - 1} more workers)" if len(too_long) > 1 else ""
    return error(
        name,
        f"{worker}{more}: {said}",
        "Shorten it; or raise the limit on every node (`rabbitmqctl eval "
        "'application:set_env(rabbit, consumer_timeout, 7200000).'`, and consumer_timeout in rabbitmq.conf), "
        "then accept it with Allow('lease_exceeds_consumer_timeout', …) in the app.",
    )
