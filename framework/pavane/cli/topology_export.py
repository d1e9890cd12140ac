"""`pavane topology export`: files for the servers' administrators, made from the definitions alone."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from pavane.cli.apps import programs_of
from pavane.cli.session import session_of
from pavane.cli.topology_left import Apps
from pavane.core.choreography import Choreography
from pavane.core.leftovers import topology_of
from pavane.errors import UsageError
from pavane.settings import Settings


def export(
    context: typer.Context,
    apps: Apps = None,
    definitions: Annotated[
        bool, typer.Option("--definitions", help="For RabbitMQ: queues, exchanges, bindings, users.")
    ] = False,
    redis_acl: Annotated[
        bool, typer.Option("--redis-acl", help="For Redis: the users, as lines of an ACL file.")
    ] = False,
) -> None:
    """Write a user for each service, with the least rights that these apps need together, as a file for the server.

    Besides there is a user for clients and other systems (outside), who may publish what comes from outside, and one
    for operators. No user has a password, so nobody can log in as him until he is given one. Name all apps
    of the namespace: what an app is not there for, nobody may do.

    Example: pavane topology export services/ --definitions > definitions.json
    """
    session = session_of(context)
    settings = session.settings()
    if definitions == redis_acl:
        raise UsageError("For which server?", remedy="Give either --definitions or --redis-acl.")
    choreography = Choreography(programs_of(apps or (), settings))
    if definitions:
        session.out.file(_definitions(settings, choreography))
        return
    lines = _acl(settings, choreography)
    if session.out.json:
        session.out.document({"acl": lines})
        return
    for line in lines:
        print(line, flush=True)


# The adapters are imported where they are used: no other command should have to load them.


def _definitions(settings: Settings, choreography: Choreography) -> object:
    from pavane.adapters.rabbitmq.definitions import definitions

    return definitions(settings.namespace, _vhost(settings), choreography)


def _acl(settings: Settings, choreography: Choreography) -> tuple[str, ...]:
    from pavane.adapters.redis.acl import acl_lines

    return acl_lines(settings.namespace, topology_of(settings.namespace, choreography).services)


def _vhost(settings: Settings) -> str:
    """The one that the broker's URL names; without, RabbitMQ's own default."""
    urls = settings.broker_urls
    return (unquote(urlsplit(urls[0]).path[1:]) if urls else "") or "/"
