"""What happens to a process that works, or inside a handler."""

from __future__ import annotations

from tests.faults.row import Row, Table

WORKERS = Table(
    title="Workers",
    rows=(
        Row(
            id="W1",
            fault="The process is killed before it has begun the job it received.",
            expected="The message is delivered again; no attempt is counted.",
        ),
        Row(
            id="W2",
            fault="It is killed while the handler runs.",
            expected="The message is delivered again, and the handler runs again when the lease is over. "
            "The dead attempt is shown as lost and spends none of `max_attempts`.",
        ),
        Row(
            id="W3",
            fault="It is killed when the step is committed and none of its events is published.",
            expected="The handler does not run again. The redelivery or the relay publishes the events, "
            "with the ids they always had.",
        ),
        Row(
            id="W4",
            fault="It is killed when the events are published, before the mark or the acknowledgement.",
            expected="The events may be on the wire twice. Each is applied once.",
        ),
        Row(
            id="W5",
            fault="It is killed when a failure is recorded: before its copy or letter is published, or "
            "before the mark.",
            expected="Exactly one further attempt, or one letter in the index. An old copy is not run.",
        ),
        Row(
            id="W6",
            fault="The process stands still for longer than lease and heartbeat, then goes on.",
            expected="Another process commits. The one that wakes up is fenced and cancels its handler. A "
            "pause that is shorter than both shows nothing.",
        ),
        Row(
            id="W8",
            fault="SIGTERM: idle, busy, with a handler longer than the grace period, while "
            "reconnecting, twice.",
            expected="It takes nothing new, ends or gives back what it has, and is gone within the grace "
            "period and two seconds. No attempt is spent.",
        ),
        Row(
            id="W9",
            fault="A handler blocks the event loop.",
            expected="A thread notices, logs where, and lets the lease run out. The commit that comes "
            "later is fenced.",
        ),
        Row(
            id="W10",
            fault="A handler ignores its cancellation.",
            expected="It is left behind when its lease or the grace period is over, and never commits.",
        ),
        Row(
            id="W11",
            fault="A handler ends its process, again and again.",
            expected="After two deaths the job runs alone, so that its neighbours live; after the third it "
            "is a letter, `crash_loop`. An undo is stuck instead, never skipped.",
            without="A segmentation fault and the system's memory killer by themselves: the tests use "
            "`os._exit` and SIGKILL, which leave exactly as little behind.",
        ),
        Row(
            id="W12",
            fault="A handler returns what it does not declare or half a megabyte, raises `SystemExit`, "
            "leaves a task.",
            expected="The attempt fails with its reason. The process lives.",
        ),
        Row(
            id="W13",
            fault="The lease cannot be renewed while the handler runs: Redis does not answer.",
            expected="The handler goes on until its lease is over by its own monotonic clock, and is "
            "cancelled then; no attempt is spent. One that ended in time keeps its result and "
            "commits later.",
        ),
        Row(
            id="W14",
            fault="Two versions of a worker share a queue while a release is rolled out.",
            expected="What is too new for the one goes back for a while and reaches the other. After ten "
            "minutes without anybody who knows the version it is a letter.",
        ),
    ),
)
