"""`pavane graph`: the choreography as a picture, as defined, or with what happened in one run drawn over it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

import typer

from pavane.cli.loading import load_app
from pavane.cli.session import Connected, Session, session_of
from pavane.client.run_document import run_document
from pavane.client.run_handle import read_run
from pavane.client.views import history_entry
from pavane.core.drawing.definitions import Definitions, graph_of
from pavane.core.drawing.dot import dot
from pavane.core.drawing.graph import Graph
from pavane.core.drawing.happened import Happened, draw_over
from pavane.core.drawing.mermaid import mermaid
from pavane.core.drawing.svg import svg
from pavane.errors import UsageError
from pavane.model.names import split_run
from pavane.model.workflow import Workflow

FORMATS: Final = {"mermaid": mermaid, "dot": dot, "svg": svg}

Apps = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="APP...",
        help="module:app, one or several that take part together; without it PAVANE_APP.",
        show_default=False,
    ),
]
Format = Annotated[
    Literal["mermaid", "dot", "svg"], typer.Option("--format", help="mermaid, dot (Graphviz) or svg.")
]
WorkflowName = Annotated[
    str | None, typer.Option("--workflow", metavar="NAME", help="Only what can follow from its start.")
]
Run = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="<workflow>:<run id>; what happened in it is drawn over."),
]


def graph(
    context: typer.Context,
    apps: Apps = None,
    format: Format = "mermaid",
    run: Run = None,
    workflow: WorkflowName = None,
) -> None:
    """Draw who hears and who sends what, or what happened in one run.

    Events are rounded, workers square. Starting and ending events, undos, and what happens only after an end
    (closing) are marked. With --run, which needs the servers' URLs: what came, the status of each step with its
    attempts and errors, what was undone, refused or is dead, and grey what was not touched.

    Example: pavane graph shop:app --format svg --run orders:7 > orders-7.svg
    """
    session = session_of(context)
    definitions = _definitions(session, apps)
    chosen = _workflow(definitions, workflow, run)
    if chosen is not None:
        definitions = definitions.part_of(chosen)
    drawn = graph_of(definitions, title=_title(definitions))
    if run is not None:
        drawn = draw_over(drawn, _happened(session, run))
    text = FORMATS[format](drawn)
    if session.out.json:
        session.out.document(_document(drawn, format, text))
    else:
        # As it is: it is ASCII without control characters, and a file more often than something to be read.
        sys.stdout.write(text)
        sys.stdout.flush()


def _definitions(session: Session, names: list[str] | None) -> Definitions:
    """Everything that the apps define, once: services share workflows and events."""
    settings = session.settings()
    given: list[str | None] = [*names] if names else [None]
    apps = [load_app(name, settings) for name in given]
    return Definitions(
        tuple({worker.full_name: worker for app in apps for worker in app.workers}.values()),
        tuple({workflow.name: workflow for app in apps for workflow in app.workflows}.values()),
        tuple(dict.fromkeys(event for app in apps for event in app.events)),
    )


def _workflow(definitions: Definitions, name: str | None, run: str | None) -> Workflow[Any, Any] | None:
    """The workflow to draw: the one that is named, else the run's own if it is here, else all.

    Raises:
        UsageError: it is not here, or the run is one of another workflow.
    """
    of_run = (split_run(run) or ("", ""))[0] if run is not None else None
    if name is not None and of_run not in (None, name):
        raise UsageError(f"{run!a:.200} is no run of {name!a:.80}.", remedy="Leave --workflow out.")
    known = {workflow.name: workflow for workflow in definitions.workflows}
    if name is not None and name not in known:
        listed = ", ".join(known) or "none"
        raise UsageError(f"{name!a:.80} is no workflow here.", remedy=f"Workflows: {listed}.")
    return known.get(name or of_run or "")


def _title(definitions: Definitions) -> tuple[str, ...]:
    if len(definitions.workflows) != 1:
        return (", ".join(workflow.name for workflow in definitions.workflows),) * bool(definitions.workflows)
    [workflow] = definitions.workflows
    return (workflow.name, workflow.description) if workflow.description else (workflow.name,)


def _happened(session: Session, run: str) -> Happened:
    """The run's record, read once, so that all that is drawn was so at one moment."""

    async def work(connected: Connected) -> Happened:
        # The handle checks the name.
        record = await read_run(connected.means, connected.client.run(run).run)
        document = run_document(record)
        return Happened(
            run=document.run,
            steps=document.steps,
            history=[history_entry(line) for line in record.history],
            timers=[(timer.event, timer.at) for timer in document.timers],
        )

    return session.with_client(work)


def _document(drawn: Graph, format: str, text: str) -> dict[str, Any]:
    nodes = [{"id": node.id, **asdict(node), "state": node.state or None} for node in drawn.nodes]
    links = [{**asdict(link), "state": link.state or None} for link in drawn.links]
    return {"format": format, "picture": text, "nodes": nodes, "links": links}
