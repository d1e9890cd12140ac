"""Everything that is wrong with a choreography, worst first, and which of it somebody accepts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pavane.core.choreography import Accepted, Choreography, Finding, Program
from pavane.core.choreography_endings import ending_findings
from pavane.core.choreography_flow import flow_findings
from pavane.core.choreography_joins import join_findings
from pavane.core.choreography_schemas import schema_findings
from pavane.core.choreography_work import work_findings

CODES: Final = (
    "schema_mismatch",
    "undeclared_event",
    "endless_workflow",
    "unfillable_join",
    "unreachable_worker",
    "orphan_event",
    "missing_undo",
    "cycle_without_timer",
    "retry_exceeds_deadline",
    "lease_exceeds_consumer_timeout",
    "default_timeout",
)
"""Every code, in the order of the findings."""


def findings_of(programs: Iterable[Program]) -> tuple[Finding, ...]:
    """What is wrong with these programs together: errors before warnings, by code, by subject.

    Raises:
        DefinitionError: they cannot run together at all.
    """
    choreography = Choreography(programs)
    found = [
        *schema_findings(choreography),
        *ending_findings(choreography),
        *join_findings(choreography),
        *flow_findings(choreography),
        *work_findings(choreography),
    ]
    found.sort(key=lambda one: (one.severity, CODES.index(one.code), one.subject))
    accepted = accepted_by(choreography.programs)
    return tuple(_accepted(finding, accepted) for finding in found)


def accepted_by(programs: Iterable[Program]) -> tuple[Accepted, ...]:
    """What any of them accepts, each once."""
    return tuple(dict.fromkeys(one for program in programs for one in program.accepted))


def is_ok(findings: Iterable[Finding], *, strict: bool) -> bool:
    """Whether nothing is left that nobody accepts; warnings are left out unless `strict`."""
    return all(one.allowed or (one.severity == "warning" and not strict) for one in findings)


def matching_nothing(accepted: Iterable[Accepted], findings: Iterable[Finding]) -> tuple[Accepted, ...]:
    """What is accepted and not found: it may go."""
    found = {(finding.code, finding.subject) for finding in findings}
    return tuple(one for one in accepted if (one.code, one.subject) not in found)


def _accepted(finding: Finding, accepted: Iterable[Accepted]) -> Finding:
    matching = (one for one in accepted if (one.code, one.subject) == (finding.code, finding.subject))
    first = next(matching, None)
    return finding if first is None else replace(finding, allowed=first.reason or "no reason given")
