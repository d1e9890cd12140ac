"""What RabbitMQ and Redis do to those who rely on them."""

from __future__ import annotations

from tests.faults.row import Row, Table

RABBITMQ = Table(
    title="RabbitMQ",
    rows=(
        Row(
            id="B1",
            fault="The node restarts, or is killed.",
            expected="The process says that it is not ready. Its consumers are back within 15 s of the "
            "open port; nothing that was confirmed is lost and no attempt is spent.",
        ),
        Row(
            id="B2",
            fault="Of three nodes the leader dies, or a minority, or the majority.",
            expected="A gap of seconds; nothing; publishing stops and consumption pauses until the "
            "majority is back.",
            without="Not in `make test`, three nodes take 13 s to form and 140 MB each: `make "
            "chaos-cluster`.",
        ),
        Row(
            id="B3",
            fault="A node is cut off from the others (`pause_minority`).",
            expected="As before. A client that was connected to it takes the next of its URLs.",
            without="The cut itself needs network namespaces and three nodes: `make chaos-cluster`.",
        ),
        Row(
            id="B4",
            fault="A memory or disk alarm: the broker stops reading from those who publish.",
            expected="Publishing times out and the outbox keeps the event; acknowledgements still get "
            "through. After the alarm every event is applied once, also one whose publish had "
            "timed out and arrives late.",
        ),
        Row(
            id="B5",
            fault="`consumer_timeout`: a handler holds its message longer than the broker allows.",
            expected="The broker closes this worker's channel and no other. The redelivery meets the live "
            "lease and goes round the wheel; the handler ends, and commits once.",
        ),
        Row(
            id="B6",
            fault="A channel error while jobs run.",
            expected="The channel is set up again, the jobs end and commit, their acknowledgements are "
            "forgotten, the redeliveries are found committed.",
        ),
        Row(
            id="B7",
            fault="A queue is deleted under its consumer; an exchange or a binding is deleted.",
            expected="What is ours is declared again and consumed again within 5 s; who may not declare "
            "waits. The event of a lost binding is kept and its run is listed.",
        ),
        Row(
            id="B8",
            fault="No queue takes an event that somebody subscribes to.",
            expected="It comes back, stays in the outbox, is tried again; the run is `stalled`, with the "
            "event's name.",
        ),
        Row(
            id="B9",
            fault="A confirm is lost or late; a full queue refuses.",
            expected="Published again under the same id, and applied once. A refusal is told to its own "
            "caller.",
        ),
        Row(
            id="B10",
            fault="A dead-letter queue is missing or full.",
            expected="The letter is in the index at once. Its message waits until the queue takes it, "
            "unacknowledged until then.",
        ),
        Row(
            id="B11",
            fault="The delivery limit is reached by bad luck: twenty deployments, twenty channel errors.",
            expected="A job that never began is put back once. Then it is a letter, `delivery_limit`, "
            "*probably innocent*; all such letters are redriven by one filter.",
        ),
        Row(
            id="B12",
            fault="The password is changed, a permission revoked, the number of connections used up.",
            expected="Not ready; the log says what is refused and never the password; each of the two "
            "connections tries less than once a second; it recovers by itself when the cause is "
            "mended.",
            without="A certificate that is replaced: TLS is the library's, and the next connection reads "
            "the files anew.",
        ),
        Row(
            id="B13",
            fault="An event arrives twice, in another order, a week late, or with another payload under "
            "its id.",
            expected="Applied once. What comes for a run that is over is written down and not run. The "
            "first payload stays, another is recorded as a conflict.",
        ),
    ),
)

REDIS = Table(
    title="Redis",
    rows=(
        Row(
            id="R1",
            fault="It restarts, is killed, or is still loading.",
            expected="The process is not ready. Handlers at work keep their result and commit when it is "
            "back; no attempt is spent.",
        ),
        Row(
            id="R2",
            fault="It forgets its last acknowledged writes: a power cut with `everysec`, a lossy failover.",
            expected="What cannot be promised ([guarantees](guarantees.md#what-cannot-be-promised)): a "
            "step may be committed twice.",
            without="That what RabbitMQ still proves is written back into the record (`state adopt`) is "
            "not there yet. `make chaos MODE=rewind` cuts Redis's file and counts what was lost.",
        ),
        Row(
            id="R3",
            fault="It is empty: FLUSHALL, or a new instance under the old address.",
            expected="Everybody refuses to work and says so, until an operator has accepted the loss.",
        ),
        Row(
            id="R4",
            fault="It refuses: READONLY, NOREPLICAS, MISCONF, OOM, BUSY.",
            expected="An outage, not a failure: work pauses, no attempt is spent, it goes on by itself. A "
            "full server can still be drained.",
        ),
        Row(
            id="R5",
            fault="`maxmemory-policy` evicts, `appendfsync` promises less than `durability=strict` needs.",
            expected="The start is refused, with the command that mends it.",
        ),
        Row(
            id="R6",
            fault="It is slow or stands still: CLIENT PAUSE, a frozen process, 200 ms on the way.",
            expected="Each call has its own deadline. No lease is taken that is held; no attempt is spent.",
        ),
        Row(
            id="R7",
            fault="A script has run and its reply is lost.",
            expected="The call is repeated and answered as the first time: counted once, granted once, "
            "written once.",
        ),
        Row(
            id="R8",
            fault="Sentinel fails over; Cluster moves slots.",
            expected="Work goes on within seconds of the failover, and follows the slots. What had not reached the new "
            "master is lost, as Redis says; slots may move only while nobody works (docs/guarantees.md).",
        ),
        Row(
            id="R9",
            fault="The functions are gone after a restart or FUNCTION FLUSH; another version's are there.",
            expected="Loaded again by whoever misses them. Versions have libraries of their own and share "
            "a server.",
        ),
        Row(
            id="R10",
            fault="It grows.",
            expected="What a run owned is gone when its retention is over, and nothing else grows with the "
            "number of runs.",
            without="With 100,000 runs: `make soak` looks at keys and memory over half an hour.",
        ),
        Row(
            id="R11",
            fault="Somebody writes into our keys: another type, a cut value.",
            expected="Calls on that record are refused before their first write, the log names it, the "
            "others go on.",
            without="Such a run is not listed as stalled: what says so would stand in the value that is "
            "damaged.",
        ),
    ),
)
