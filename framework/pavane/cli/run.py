"""`pavane run`: workers, until a signal."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pavane.cli import completion
from pavane.cli.loading import load_app
from pavane.cli.logs import set_up_logs
from pavane.cli.options import AppArgument
from pavane.cli.processes import run_processes, stop_with_parent
from pavane.cli.session import session_of
from pavane.errors import SettingsError, UsageError
from pavane.model.later import in_calls
from pavane.settings import Settings


def run(
    context: typer.Context,
    app: AppArgument = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="In memory, one process, no servers; nothing is kept.")
    ] = False,
    processes: Annotated[int, typer.Option("--processes", min=1, max=256, help="How many.")] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="A service or service.worker; several with commas.",
            autocompletion=completion.services_and_workers,
        ),
    ] = None,
    declare: Annotated[
        Literal["auto", "never"] | None,
        typer.Option("--declare", help="Whether queues and exchanges are declared; default PAVANE_DECLARE."),
    ] = None,
    health_port: Annotated[int | None, typer.Option("--health-port", hidden=True)] = None,
    reload: Annotated[bool, typer.Option("--reload", hidden=True)] = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run the workers of APP until SIGTERM or SIGINT; a second signal ends it at once.

    One line `ready` on stderr says that all consumers exist on the broker.

    Example: pavane run shop:app --only stock --processes 2
    """
    if health_port is not None or reload:
        raise in_calls("--health-port" if health_port is not None else "--reload")
    session = session_of(context)
    settings = session.settings()
    if declare is not None:
        settings = settings.model_copy(update={"declare": declare})
    names = [name for given in only or () for name in given.split(",") if name]
    loaded = load_app(app, settings)
    loaded.choose(names)
    if embedded and processes > 1:
        raise UsageError("--embedded is one process.", remedy="Leave out --processes, or use servers.")
    if not embedded:
        _need_urls(settings)
    set_up_logs(settings)
    if with_parent:
        stop_with_parent()
    if processes == 1:
        loaded.run(settings, embedded=embedded, only=names)
        return
    code = run_processes(
        processes, session.as_arguments(), app or settings.app or "", names, settings.declare
    )
    raise typer.Exit(code)


def _need_urls(settings: Settings) -> None:
    if settings.broker_url is None or settings.state_url is None:
        raise SettingsError(
            "PAVANE_BROKER_URL and PAVANE_STATE_URL are needed.",
            remedy="Set both, or run with --embedded: in memory, nothing is kept.",
        )
