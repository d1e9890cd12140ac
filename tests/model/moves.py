"""The words of the model: messages, processes, what a move does, and the rules that can be taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from pavane.core.record import JobKind

Place = Literal["queue", "wheel", "letters"]


class Message(NamedTuple):
    """A job's delivery, an undo's wake-up, or a dead letter."""

    place: Place
    job: int
    kind: JobKind
    generation: int


class Process(NamedTuple):
    """What one process is doing.

    Attributes:
        at: the next thing it does.
        owns: whether the broker still counts the delivery as this process's.
        token: of its lease; or, at `begin`, the lost one it reports.
        verdict: the next call carries one.
        rows: outbox rows it has to publish.
        copy: generation of the retry copy, the letter or the same job's copy that it has to publish.
        source: where its delivery came from; of a redrive that is the dead-letter queue.
    """

    at: str
    job: int = 0
    kind: JobKind = "step"
    generation: int = 0
    owns: bool = True
    token: int = 0
    verdict: bool = False
    rows: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    copy: int = -1
    source: Place = "queue"


IDLE = Process("idle")


@dataclass(frozen=True)
class Bugs:
    """Rules that are taken out on purpose."""

    unfenced: bool = False
    ack_before_copy: bool = False
    ack_before_publish: bool = False
    publish_before_commit: bool = False
    not_newer_is_acked: bool = False
    paused_is_acked: bool = False


class Effect(NamedTuple):
    """What one move of a process does.

    Attributes:
        sent: messages that reached the broker, also those that went back to it.
        seen: ids of events that reached the broker.
        undone: the job whose undo it committed, or -1.
        fault: it is not what was meant to happen.
        redriven: a dead letter was given another life.
    """

    label: str
    record: int
    process: Process
    sent: tuple[Message, ...] = ()
    seen: tuple[str, ...] = ()
    undone: int = -1
    fault: bool = False
    redriven: bool = False
