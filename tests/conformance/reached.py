"""What random sequences have to reach: every answer and refusal, and what is rare in records."""

from __future__ import annotations

from typing import Any

from pavane.core import answers
from pavane.core.record import Record

LISTED = """
begin Granted | begin Granted undo | begin Committed | begin Leased | begin NotYet | begin Stale retry
begin Stale marked | begin Dead | begin Dead unpublished | begin UnknownRun | begin Isolate
begin Exhausted crash_loop | begin Exhausted deadline | begin Refused second_start | begin Refused no_undo
begin Refused discarded | begin Refused run_compensating | begin Refused run_failed | begin Refused run_compensated
commit Committed | commit Committed completed | commit Committed compensating | commit Committed failed
commit Late | commit Fenced | commit_undo Committed | commit_undo Committed compensated | commit_undo Fenced
begin Refused run_cancelled | begin Paused | begin Recorded | begin Recorded fired | begin Granted joined
begin Granted undo joined | begin Granted undo unknown | begin Refused join_open | begin Refused not_in_run
cancel Done | cancel UnknownRun | cancel Refused run_compensating | cancel Refused run_completed
cancel Refused run_cancelled | commit_undo Committed cancelled
compensate Done | compensate UnknownRun | compensate Refused run_compensating | compensate Refused run_completed
pause Done | pause UnknownRun | pause Refused run_completed | hold Held | hold NotPaused | hold UnknownRun
resume Done | resume Done rows | resume UnknownRun | resume Refused run_completed
skip Done | skip Done rows | skip UnknownRun | skip Refused unknown_step | skip Refused answered
skip Refused step_running | skip Refused step_committed | skip Refused step_skipped | skip Refused run_compensating
move_deadline Done | move_deadline UnknownRun | move_deadline Refused in_the_past
move_deadline Refused run_compensating | move_deadline Refused run_completed
discard Discarded done | discard Discarded gone | discard Discarded refused run_is_live
discard Discarded refused redriven | discard Discarded refused run_compensating
emit Emitted | emit Refused run_completed
emit Refused run_compensating | emit UnknownRun
fail Retrying | fail Dead | fail Recorded | fail Exhausted rejected | fail Exhausted attempts
fail Exhausted deadline | fail Fenced
mark Marked | redrive Redriven publish | redrive Redriven again | redrive Redriven gone
redrive Redriven refused answered
begin Refused not_edited | edit Edited done | edit Edited gone | edit Edited refused answered
file Filed done | file Filed known | file Filed gone | file Filed refused no_undo | file UnknownRun
file Filed refused step_running | file Filed refused step_undone
reject Dead | reject Committed | reject PutBack | reject UnknownRun | reject Stale retry
release Released | release Recorded | release Fenced | renew Renewed | renew Renewed stopping | renew Fenced
start Started created | start Started repeated | start Started conflict
tick event | tick undo | tick job | tick nothing
seen held | seen being released | seen open join | seen fired join | seen skipped | seen left | seen awaits
seen two undos | seen paused compensating | seen not undone
"""

EXPECTED = frozenset(kind.strip() for line in LISTED.strip().splitlines() for kind in line.split("|"))


def found_in(record: Record) -> list[str]:
    """What `LISTED` wants to have been seen in records."""
    rows, joins, head = record.steps.values(), record.joins.values(), record.head
    details = [detail for line in record.history for detail in line.detail]
    undoing = [row for row in rows if row.undo is not None and not row.undo.done]
    found = {
        "held": bool(record.held),
        "being released": head.release_at > 0,
        "paused compensating": head.paused_at > 0 and head.phase == "compensating",
        "open join": any(not join.fired for join in joins),
        "fired join": any(join.fired for join in joins),
        "skipped": any(row.skipped for row in rows),
        "awaits": any(row.awaits for row in rows),
        "two undos": len(undoing) > 1,
        "left": any(value for name, value in details if name == "left"),
        "not undone": any(name == "not_undone" for name, _ in details),
    }
    return [what for what, there in found.items() if there]


def said(answer: Any) -> str:
    """The kind of an answer, as `LISTED` has it."""
    name = type(answer).__name__
    match answer:
        case answers.Granted(event=event, joined=joined, unknown=unknown):
            words = {"undo": event, "unknown": unknown, "joined": joined}
            return " ".join([name, *(word for word, there in words.items() if there)])
        case answers.Recorded(rows=rows) if any(row.kind == "job" for row in rows):
            return f"{name} fired"
        case answers.Done(rows=rows):
            return f"{name} rows" if rows else name
        case answers.Refused(reason=reason) | answers.Exhausted(reason=reason):
            return f"{name} {reason}"
        case answers.Stale(publish=publish):
            return f"{name} {publish or 'marked'}"
        case answers.Dead(publish=publish):
            return name if publish else f"{name} unpublished"
        case answers.Committed(run_ended=ended):
            return f"{name} {ended}".strip()
        case answers.Renewed(stopping=stopping):
            return f"{name} stopping" if stopping else name
        case answers.Started():
            return f"{name} {'conflict' if answer.conflict else 'created' if answer.created else 'repeated'}"
        case (
            answers.Redriven(outcome=outcome)
            | answers.Discarded(outcome=outcome)
            | answers.Edited(outcome=outcome)
            | answers.Filed(outcome=outcome)
        ):
            return f"{name} {outcome} {answer.reason}".strip()
        case _:
            return name
