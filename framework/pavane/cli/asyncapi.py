"""`pavane asyncapi`: the document that programs without pavane send and read events by."""

from __future__ import annotations

import typer

from pavane.cli.loading import load_app
from pavane.cli.options import AppArgument
from pavane.cli.session import session_of
from pavane.core.asyncapi import asyncapi as document_of


def asyncapi(context: typer.Context, app: AppArgument = None) -> None:
    """Write an AsyncAPI 3 document with AMQP bindings, made from the definitions.

    It names the brokers of PAVANE_BROKER_URL, without credentials, and the exchange of the namespace.

    Example: pavane asyncapi shop:app > asyncapi.json
    """
    session = session_of(context)
    settings = session.settings()
    loaded = load_app(app, settings)
    document = document_of(
        loaded.workers,
        loaded.workflows,
        loaded.events,
        title=", ".join(service.name for service in loaded.services),
        namespace=settings.namespace,
        broker_url=settings.broker_url,
    )
    if settings.broker_url is None and not session.out.json:
        session.out.note("The document names no server: PAVANE_BROKER_URL is not set.")
    session.out.file(document)
