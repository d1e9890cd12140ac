"""The bugs by name: what each is, how it is planted, and which tiers must catch it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Final, Literal, get_args
from unittest.mock import patch

from tests.checker.history import History
from tests.checker.recording import RecordingBroker, RecordingStore
from tests.model.moves import Bugs
from tests.planted import broker_culprits, store_culprits
from tests.planted import core_bugs as core
from tests.planted.core_bugs import Planting
from tests.planted.ports import BrokerPort, Culprit, StorePort

Tier = Literal["model", "walks", "simulation", "servers", "crash", "storm"]
TIERS: Final[tuple[Tier, ...]] = get_args(Tier)


@dataclass(frozen=True, kw_only=True)
class Bug:
    """One bug.

    Attributes:
        core: plants it in the transitions, for tiers that run those as they are.
        ports: plants it in the ports of a process, for tiers that have processes; they take it before `core`.
        runtime: plants it in what processes compute, for the same tiers, beside `ports`.
        rule: the same as a rule that the model leaves out; `scenario`: the story in which that matters.
        relay: whether the model may have one.
        caught_by: tiers that must catch it.
    """

    name: str
    core: Planting | None = None
    ports: type[Culprit] | None = None
    runtime: Planting | None = None
    rule: Bugs | None = None
    scenario: str = ""
    relay: bool = True
    caught_by: tuple[Tier, ...]

    @property
    def what(self) -> str:
        """In a sentence."""
        told: Any = self.ports or self.core or self.runtime
        return str(told.__doc__).strip().partition("\n")[0]


BUGS: Final[tuple[Bug, ...]] = (
    Bug(
        name="no fence",
        core=core.no_fence,
        ports=store_culprits.NoFence,
        rule=Bugs(unfenced=True),
        scenario="success, two copies",
        caught_by=("model", "walks", "simulation"),
    ),
    Bug(
        name="ack before publish",
        ports=broker_culprits.AckBeforePublish,
        rule=Bugs(ack_before_publish=True),
        scenario="success, two copies",
        relay=False,
        caught_by=("model", "simulation", "servers", "crash", "storm"),
    ),
    Bug(
        name="publish before commit",
        ports=broker_culprits.PublishBeforeCommit,
        rule=Bugs(publish_before_commit=True),
        scenario="success, two copies",
        caught_by=("model", "simulation", "servers", "crash", "storm"),
    ),
    Bug(
        name="no dedupe",
        core=core.no_dedupe,
        ports=store_culprits.DuplicatesRunAgain,
        scenario="success, two copies",
        caught_by=("model", "walks", "simulation"),
    ),
    Bug(
        name="token reuse",
        core=core.token_reuse,
        scenario="success, two copies",
        caught_by=("walks", "simulation"),
    ),
    Bug(
        name="undo in forward order",
        core=core.undo_forward,
        scenario="undo of two",
        caught_by=("model", "walks", "simulation"),
    ),
    Bug(
        name="delay copy not compared",
        core=core.copies_not_compared,
        ports=store_culprits.CopiesAreNotCompared,
        scenario="retry and dead letter",
        caught_by=("simulation",),
    ),
    Bug(name="relay off", ports=store_culprits.RelayOff, caught_by=("simulation", "servers")),
    Bug(
        name="header-trusted attempts", ports=broker_culprits.HeaderTrustedAttempts, caught_by=("simulation",)
    ),
    Bug(name="lease on worker clock", ports=store_culprits.LeaseOnWorkerClock, caught_by=("simulation",)),
    # subtler ones
    Bug(
        name="late steps stay",
        core=core.late_steps_stay,
        scenario="late, void and undo",
        caught_by=("model", "walks", "simulation"),
    ),
    Bug(
        name="a pause forgets",
        ports=store_culprits.HoldForgets,
        rule=Bugs(paused_is_acked=True),
        scenario="pause and resume",
        caught_by=("model", "simulation", "servers"),
    ),
    Bug(
        name="ack before the retry copy",
        rule=Bugs(ack_before_copy=True),
        ports=broker_culprits.AckBeforePublish,
        scenario="retry and dead letter",
        caught_by=("model", "simulation", "servers"),
    ),
    Bug(name="join counts copies", core=core.join_counts_copies, caught_by=("walks", "simulation")),
    Bug(
        name="late events published",
        ports=broker_culprits.LateEventsPublished,
        caught_by=("simulation", "servers"),
    ),
    Bug(name="confirm ignored", ports=broker_culprits.ConfirmIgnored, caught_by=("simulation",)),
    Bug(name="letters dropped", ports=broker_culprits.LettersDropped, caught_by=("simulation", "servers")),
    Bug(name="begin id shared", ports=store_culprits.BeginIdShared, caught_by=("simulation",)),
    Bug(name="timers too early", ports=store_culprits.TimersTooEarly, caught_by=("simulation", "servers")),
    Bug(name="data lost", ports=store_culprits.DataLost, caught_by=("simulation", "servers")),
    Bug(name="delay lost", ports=store_culprits.DelayLost, caught_by=("simulation", "servers")),
    Bug(name="stale read", ports=store_culprits.StaleRead, caught_by=("simulation", "servers")),
    Bug(name="handed to nobody", ports=store_culprits.HandedToNobody, caught_by=("simulation",)),
    Bug(name="key for each attempt", runtime=core.key_for_each_attempt, caught_by=("simulation", "servers")),
    Bug(name="ids for each commit", runtime=core.ids_for_each_commit, caught_by=("simulation",)),
)


def bug(name: str) -> Bug:
    """Raises:
    KeyError: no bug has this name.
    """
    return {one.name: one for one in BUGS}[name]


class Plant:
    """The recorders of a tier, with a bug beside them; each process has a culprit of its own."""

    def __init__(self, kind: type[Culprit]) -> None:
        self._kind = kind
        self._culprits: dict[str, Culprit] = {}

    def _of(self, process: str) -> Culprit:
        return self._culprits.setdefault(process, self._kind())

    def store(self, store: Any, history: History, process: str = "") -> Any:
        culprit = self._of(process)
        if culprit.inside:
            inner: Any = StorePort(store, culprit)
            return RecordingStore(inner, history, process)
        return StorePort(RecordingStore(store, history, process), culprit)

    def broker(self, broker: Any, history: History, process: str = "") -> Any:
        culprit = self._of(process)
        if culprit.inside:
            inner: Any = BrokerPort(broker, culprit)
            return RecordingBroker(inner, history, process)
        return BrokerPort(RecordingBroker(broker, history, process), culprit)


@contextmanager
def planted(one: Bug, *modules: str) -> Generator[None]:
    """Plant a bug while the block runs: in the ports that these modules record, or else in the core."""
    with ExitStack() as stack:
        if one.runtime is not None:
            stack.enter_context(one.runtime())
        if one.ports is not None and modules:
            plant = Plant(one.ports)
            for module in modules:
                stack.enter_context(patch(f"{module}.RecordingStore", plant.store))
                stack.enter_context(patch(f"{module}.RecordingBroker", plant.broker))
        elif one.core is not None:
            stack.enter_context(one.core())
        yield


CONNECT: Final = "pavane.app.connect"


@contextmanager
def planted_unrecorded(one: Bug) -> Generator[None]:
    """Plant a bug in the ports that `App.run` opens; nobody records what they do."""
    with ExitStack() as stack:
        if one.runtime is not None:
            stack.enter_context(one.runtime())
        if one.ports is not None:
            culprit, connect = one.ports(), resolve_name(CONNECT)

            def connected(settings: Any) -> tuple[Any, Any]:
                store, broker = connect(settings)
                return StorePort(store, culprit), BrokerPort(broker, culprit)

            stack.enter_context(patch(CONNECT, connected))
        yield


def must_be_caught() -> Mapping[Tier, list[str]]:
    """The share of each tier."""
    return {tier: [one.name for one in BUGS if tier in one.caught_by] for tier in TIERS}
