"""What is drawn: events and workers, who hears and who sends what, and, of a run, what happened.

These are values without place, size or colour. `definitions` makes them of an app, `happened` draws a run over
them; `svg`, `dot` and `mermaid` write them down. Names, notes and titles are text as it came, from definitions or
from a run's data: whoever writes them down makes them harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

NodeKind: TypeAlias = Literal["event", "worker"]
Role: TypeAlias = Literal["start", "completes", "fails", "outside", "framework", "closing", "join"]
LinkKind: TypeAlias = Literal["hears", "sends", "answers"]
NodeState: TypeAlias = Literal[
    "",
    "idle",
    "came",
    "waiting",
    "running",
    "retrying",
    "committed",
    "dead",
    "skipped",
    "refused",
    "undoing",
    "undone",
    "undo_stuck",
]
LinkState: TypeAlias = Literal["", "idle", "taken", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An event or a worker.

    Attributes:
        name: an event's name, or `service.worker`.
        notes: what else has to be read beside the name, a line each.
        became: of a run: what became of it, a line each.
        roles: why it looks different from others.
        about: the description, for formats that show it on demand.
        state: `became` in a word, `idle` if nothing did; empty in a definition.
    """

    kind: NodeKind
    name: str
    notes: tuple[str, ...] = ()
    became: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    about: str = ""
    state: NodeState = ""

    @property
    def id(self) -> str:
        return node_id(self.kind, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An event reaches a worker (`hears`), or leaves it: from its handler (`sends`), or made when its attempts
    are used up (`answers`). `source` and `target` are ids of nodes."""

    source: str
    target: str
    kind: LinkKind
    state: LinkState = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes and links, each once, and what stands above them, a line each."""

    title: tuple[str, ...]
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


def node_id(kind: NodeKind, name: str) -> str:
    return f"{kind}:{name}"
