"""What the checker says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A breach of an invariant (`I1` to `I17`), as a sentence; `record` where it is about one."""

    invariant: str
    record: str
    what: str

    def __str__(self) -> str:
        return (
            f"{self.invariant} {self.record}: {self.what}" if self.record else f"{self.invariant} {self.what}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of one evidence.

    Attributes:
        violations: what must not be.
        reports: what may be and has to be told: effects that happened twice, writes that were lost on purpose.
        counts: how much there was to judge, and how much of what happened.
        vacuity: why this evidence proves little, sentence by sentence; empty: it does prove something.
    """

    violations: Sequence[Violation] = ()
    reports: Sequence[Violation] = ()
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    vacuity: Sequence[str] = ()

    @property
    def clean(self) -> bool:
        """No invariant is broken, and there was something to break."""
        return not self.violations and not self.vacuity

    def __str__(self) -> str:
        said = [*map(str, self.violations), *(f"vacuous: {why}" for why in self.vacuity)]
        return "\n".join(said or ["clean"])
