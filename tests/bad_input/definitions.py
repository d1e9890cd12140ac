"""Definitions that cannot be meant: refused when the module is imported or the App is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pavane import App, Context, Event, Service, Workflow
from tests.bad_input.case import Case, Group
from tests.bad_input.shop import Confirmed, Knocked, Placed, Reserved, door, shop

AT_IMPORT = "`DefinitionError` when the module is imported, with file and line"
AT_APP = "`DefinitionError` when the `App` is built"


@dataclass(frozen=True, kw_only=True)
class BadDefinition(Case):
    """A definition; `define` raises."""

    define: Callable[[], object]


class Opened(Event, name="bad.opened"):
    """Starts the workflows below, which no App ever has: nobody else may take it."""


class Closed(Event, name="bad.closed"):
    """As above."""


async def listen(ctx: Context, event: Knocked) -> None:
    """A handler for workers that are never built."""


def duplicate_event() -> None:
    class AnotherPaid(Event, name="bad.paid"):
        pass


def duplicate_worker() -> App:
    twice = Service("twice")
    twice.queue_worker("listen").handler(listen)
    twice.queue_worker("listen").handler(listen)
    return App(services=[twice])


def duplicate_service() -> App:
    first, second = Service("same"), Service("same")
    first.queue_worker("listen").handler(listen)
    second.queue_worker("hear").handler(listen)
    return App(services=[first, second])


def duplicate_workflow() -> App:
    flows = [
        Workflow("same_flow", starts_with=start, completes_with=[Confirmed]) for start in (Opened, Closed)
    ]
    return App(services=[Service("empty")], workflows=flows)


def shared_start() -> App:
    flows = [
        Workflow(name, starts_with=Opened, completes_with=[Confirmed]) for name in ("flow_one", "flow_two")
    ]
    return App(services=[Service("empty")], workflows=flows)


def workflow_left_out() -> App:
    return App(services=[door, shop])


def undeclared_return() -> object:
    async def handler(ctx: Context, event: Placed) -> Confirmed:
        return Confirmed(order=event.order)

    return Service("returns").queue_worker("wrong").emits(Reserved).handler(handler)


def bad_event_name() -> None:
    class Spaced(Event, name="order placed"):
        pass


def reserved_event_name() -> None:
    class Ours(Event, name="pavane.mine"):
        pass


def case(what: str, code: str, seen: str, define: Callable[[], object], remedy: str) -> BadDefinition:
    return BadDefinition(what=what, code=code, seen=seen, define=define, remedy=remedy)


RENAME = "Give one of the two another name."

CASES = (
    case(
        "two event classes with one name",
        "duplicate_event",
        AT_IMPORT,
        duplicate_event,
        "Give one another name; a new shape of the same event is a new version.",
    ),
    case("two workers of a service with one name", "duplicate_worker", AT_APP, duplicate_worker, RENAME),
    case("two services with one name", "bad_name", AT_APP, duplicate_service, RENAME),
    case("two workflows with one name", "bad_name", AT_APP, duplicate_workflow, RENAME),
    case(
        "an event that starts two workflows",
        "start_event_shared",
        AT_APP,
        shared_start,
        "Let one of them start with an event that a worker of the other emits.",
    ),
    case(
        "a worker takes an event that starts a workflow which the App lacks",
        "workflow_not_loaded",
        AT_APP,
        workflow_left_out,
        "Add it to `App(workflows=[…])`.",
    ),
    case(
        "a handler returns an event that `.emits` does not name",
        "contradicting_emit",
        AT_IMPORT,
        undeclared_return,
        "Name it in `.emits(…)`, or leave `.emits` out.",
    ),
    case(
        "an event's name with spaces, capitals or wildcards",
        "bad_name",
        AT_IMPORT,
        bad_event_name,
        "Words of `[a-z][a-z0-9_]*`, joined by dots, at most 128 characters.",
    ),
    case(
        "an event's name under `pavane.`",
        "bad_name",
        AT_IMPORT,
        reserved_event_name,
        "Choose another first word: this one is the framework's own.",
    ),
    case(
        "the name of a service that is none",
        "bad_name",
        AT_IMPORT,
        lambda: Service("Inventory 2"),
        "`[a-z][a-z0-9_]*`, at most 63 characters.",
    ),
)

GROUPS = (
    Group(
        title="Definitions",
        about="All problems of a worker are reported together. The code is that of the problem.",
        cases=CASES,
    ),
)
