"""`pavane topology migrate`: a queue with the arguments that the definitions want, while its service goes on."""

from __future__ import annotations

from typing import Annotated

import typer

from pavane.cli.options import By, Reason, Yes
from pavane.cli.output import Output
from pavane.cli.session import Connected, session_of
from pavane.cli.topology_left import Apps, print_changes, topology_for
from pavane.client.audit import audited
from pavane.client.migration import migrate as migrated
from pavane.ports.broker import QueueCount, TopologyChange

Queue = Annotated[str, typer.Argument(metavar="QUEUE", help="Its full name, as `topology plan` shows it.")]


def migrate(
    context: typer.Context,
    queue: Queue,
    apps: Apps = None,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Replace a queue whose arguments differ from what these apps want by one that has them.

    What is in it and what comes meanwhile is brought into the new one; processes that consume it go on. It may
    take as long as the longest job that runs. Killed on the way, it is carried on by giving the command again.

    Example: pavane topology migrate pavane.dlq.payments.charge services/ --yes
    """
    session = session_of(context)
    settings = session.settings(by=by)
    topology = topology_for(apps, settings)
    session.confirm(f"Replace {queue}?", yes=yes)
    progress = _Progress(session.out)

    async def work(connected: Connected) -> list[TopologyChange]:
        async with audited(connected.means, "topology migrate", [queue], by=by, reason=reason):
            return await migrated(connected.means, topology, queue, progress.waits)

    changes = session.with_client(work, by=by)
    print_changes(session.out, changes, clean=True, empty="The queue is as it should be.")


class _Progress:
    """Says what is being waited for, once each time that it changes."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._said = ""

    def waits(self, count: QueueCount) -> None:
        text = f"{count.queue}: {count.ready} messages wait, {count.consumers} consumers have some in hand."
        if text != self._said and not self._out.json:
            self._out.note(text)
        self._said = text
