"""What is in messages, how many there are, and what has to be taken back."""

from __future__ import annotations

from tests.faults.row import Row, Table

MESSAGES = Table(
    title="Messages",
    rows=(
        Row(
            id="M1",
            fault="No JSON, another schema, an unknown event, version, content type or encoding, "
            "nothing at all.",
            expected="A dead letter at first sight, with its bytes and every error; never acknowledged "
            "away, never tried again. [Bad input](bad-input.md) has every case.",
        ),
        Row(
            id="M2",
            fault="A hostile message: properties that break decoders, headers nested deep, forged "
            "generations.",
            expected="The connection stays. Headers are read by one strict function; no header moves a "
            "record upwards.",
        ),
        Row(
            id="M3",
            fault="A body of any size, none to megabytes.",
            expected="Over 256 KiB it is refused to whoever sends it, and dead-lettered unread where it "
            "arrives.",
            without="128 MiB, RabbitMQ's own limit: three megabytes go the same way.",
        ),
    ),
)

LOAD = Table(
    title="Load",
    rows=(
        Row(
            id="L1",
            fault="Everybody comes at once after an outage.",
            expected="Retries come back spread by jitter, which is drawn by chance.",
            without="Fifty thousand waiting jobs, and a breaker that probes with one: the first takes "
            "longer than a test may, the second is not there yet.",
        ),
        Row(
            id="L2",
            fault="A slow consumer, a long backlog.",
            expected="A process holds no more than its prefetch; whoever publishes does not notice.",
            without="Memory, and what whoever publishes notices, with 200,000 jobs, which take minutes: "
            "`make soak`.",
        ),
        Row(
            id="L3",
            fault="A dead-letter queue with very many letters.",
            expected="Listed page by page; redriven at a rate that can be set; stopped at any time without "
            "losing one.",
            without="100,000 letters, which take minutes to make; the tests have dozens.",
        ),
    ),
)

COMPENSATION = Table(
    title="Compensation",
    rows=(
        Row(
            id="C1",
            fault="An undo fails a few times, or for ever.",
            expected='Its own policy, then `undo_stuck`: listed, redriven. With `undo="parallel"` the '
            "undos that do not wait for it go on.",
        ),
        Row(
            id="C2",
            fault="The run fails while a step waits in its queue, or while it runs.",
            expected="Waiting: refused. Running: told, its commit is late, its events are withheld, and it "
            "is undone.",
        ),
        Row(
            id="C3",
            fault="A frozen worker wants to commit into a run that is over.",
            expected="Fenced: its token was voided, the step counts as unknown and was undone once. No "
            "event of it is seen.",
        ),
        Row(
            id="C4",
            fault="The process is killed at any point of an undo; an undo's message comes twice.",
            expected="Undone once, in the reverse order of the commits.",
        ),
        Row(
            id="C5",
            fault="Two branches fail at once; a cancel or a timer meets a compensation.",
            expected="One compensation with one reason; timers and deadline go with the phase `running`.",
        ),
    ),
)
