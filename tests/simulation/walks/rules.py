"""The rules of the core, as the walks name them: every answer with its reason, and every line of history.

A walk that is answered anything else fails, and so does a test of whose walks none meets a rule of this list.
"""

from __future__ import annotations

OVER = ("run_completed", "run_failed", "run_compensated", "run_cancelled")
FAILING = ("run_compensating", "run_failed", "run_compensated", "run_cancelled")
LEFT = ("run_compensating", *OVER)


def refused(call: str, *reasons: str) -> list[str]:
    return [f"{call}: refused {reason}" for reason in reasons]


def answered(call: str, *answers: str) -> list[str]:
    return [f"{call}: {answer}" for answer in answers]


RULES = frozenset(
    [
        *answered("start", "started", "attached", "conflict"),
        *answered("emit", "emitted"),
        *refused("emit", *LEFT),
        *answered("begin", "granted", "committed", "leased", "notyet", "stale", "dead", "paused", "recorded"),
        *answered("begin", "isolate", "exhausted crash_loop", "exhausted deadline"),
        *refused("begin", *FAILING, "second_start", "join_open", "discarded"),
        *answered("commit", "committed", "late", "fenced"),
        *answered("commit_undo", "committed", "fenced"),
        *answered("fail", "retrying", "dead", "recorded", "fenced"),
        *answered("fail", "exhausted attempts", "exhausted rejected", "exhausted deadline"),
        *answered("release", "released", "recorded", "fenced"),
        *answered("renew", "renewed", "fenced"),
        *answered("reject", "dead", "committed", "putback", "stale"),
        *answered("mark", "marked"),
        *answered(
            "redrive", "redriven publish", "redriven again", "redriven gone", "redriven refused answered"
        ),
        *[f"redrive: redriven refused {reason}" for reason in FAILING],
        *answered("discard", "discarded done", "discarded gone"),
        *[
            f"discard: discarded refused {reason}"
            for reason in ("run_is_live", "run_compensating", "redriven")
        ],
        *answered("cancel", "done"),
        *refused("cancel", *LEFT),
        *answered("compensate", "done"),
        *refused("compensate", *LEFT),
        *answered("pause", "done"),
        *refused("pause", *OVER),
        *answered("hold", "held", "notpaused"),
        *answered("resume", "done"),
        *refused("resume", *OVER),
        *answered("skip", "done"),
        *refused("skip", *FAILING, "unknown_step", "answered"),
        *refused("skip", "step_committed", "step_running", "step_skipped"),
        *answered("move_deadline", "done"),
        *refused("move_deadline", *LEFT, "in_the_past"),
        "sent twice",
        "at rest: listed",
        *[f"line run_{kind}" for kind in ("started",)],
        *[
            f"line {kind}"
            for kind in ("start_repeated", "conflict", "event_emitted", "lease_lost", "gathered")
        ],
        *[f"line step_{kind}" for kind in ("started", "committed", "retrying", "dead", "late", "skipped")],
        *[f"line step_{kind}" for kind in ("refused",)],
        *[f"line timer_{kind}" for kind in ("set", "fired", "cancelled")],
        *[f"line {kind}" for kind in ("paused", "resumed", "cancel_requested", "compensation_started")],
        *[f"line undo_{kind}" for kind in ("started", "done", "failed", "stuck")],
        *[
            f"line {kind}"
            for kind in ("deadline_moved", "deadline_passed", "redriven", "stalled", "unstalled")
        ],
        *[f"line {kind}" for kind in ("completed", "failed", "compensated", "cancelled")],
    ]
)
