"""Every key that pavane has in Redis, and what is in it.

All keys begin with the namespace. Records are spread over shards; each key of a shard carries the shard's
hash tag, `<namespace>:{sNN}:`, so that one call touches one slot and the same code runs on Redis Cluster.
Shards are told apart by `core.identity.shard_of`; their number is fixed for the life of a namespace.

Of one record (a run, named `<workflow>:<run id>`, or an event outside workflows, named `~<event id>`):

    run:<record>      hash    each value in MessagePack:
                              `head`: the record's head
                              `fixed`: what never changes in it: the contract, how the run began
                              `bounds`: the little of it that a step asks for: its first event, those that end it
                              `step:<step id>`: a step's row with its work, undo and attempts
                              `letter:<letter id>`: a dead letter's index entry
                              `undo`: list of the steps that are still to be undone
                              `joins`: worker with `on_all` -> what has arrived for it
    events:<record>   hash    event id -> one line of JSON (id, name, version, time, producer, causation, hops,
                              trace), a newline, the payload as it came
    data:<record>     hash    key -> opaque bytes: the run's data
    waiting:<record>  hash    `o<row id>`: a row of the outbox in MessagePack
                              `t<key>`: a timer in MessagePack, right behind it its event as in `events`
    agenda:<record>   zset    the same members, scored with the time they are due
    held:<record>     hash    `<kind>/<generation>/<step id>` -> MessagePack of a delivery that came while the run was
                              paused
    order:<record>    zset    the same members, scored with their place in the row
    history:<record>  list    one JSON object per line of the history, oldest first, at most the contract's cap

Rows leave out what has its default value (`core.record`), empty lists, and of a step what its id says.

Of a shard:

    epoch             string  written once, compared by every script: if it is missing or another one, Redis has
                              forgotten what it acknowledged
    due               zset    record -> the earliest time that anything is due in it
    runs              zset    run -> when it started
    status:<status>   zset    the same, of the runs that show this status
    letters           zset    letter id -> when the job died
    letter_of         hash    letter id -> record

In slots of their own:

    <namespace>:shards          string  how many shards there are
    <namespace>:services        hash    service -> JSON of what it has registered
    <namespace>:declared        set     `service.worker`, `service.worker event` and `service.worker >event`: what was
                                        declared on the broker and not pruned since
    <namespace>:{handed}:<service>
                                zset    `[record, row]` as JSON -> when it was left to the processes of a
                                        service, because those of another may not publish it
    <namespace>:rate:{<limit>}  string  when the turn after all that a rate limit has handed out would be, in
                                        microseconds; `<limit>` is its name, with a digest of its key if it has one
    <namespace>:rate:{<limit>}:waiting
                                zset    job -> its turn, of those that were too early
    <namespace>:audit           stream  `line`: JSON of a change that somebody has made; about the last 20,000
    <namespace>:lock:<name>     hash    `owner`, `until`, and a `token` that grows with every new owner

Who removes what: the keys of a run go when a tick, or any call, finds that its retention is over. The keys of
an event outside workflows have an expiry of their own; its entry in `due` goes with the next tick. Entries of
the indexes go with what they point to. Locks stay: they are few, and their tokens must keep growing. Rate limits
expire when nobody has asked them for ten minutes.
"""

from __future__ import annotations

from pavane.core.identity import shard_of


class Keys:
    """Builds the names. `namespace` is `[a-z][a-z0-9_]*`, so it cannot hold a brace."""

    def __init__(self, namespace: str, shards: int) -> None:
        self._namespace = namespace
        self._shards = shards
        self._prefixes = [f"{namespace}:{{s{shard:02d}}}:" for shard in range(shards)]
        self._runs = [f"{prefix}run:".encode() for prefix in self._prefixes]

    def shard(self, record: str) -> int:
        return shard_of(record, self._shards)

    def run(self, record: str, shard: int) -> bytes:
        return self._runs[shard] + record.encode()

    def of_shard(self, part: str, shard: int) -> bytes:
        """A key that the shard has once: `epoch`, `due`, `runs`, `letters`, `letter_of`."""
        return (self._prefixes[shard] + part).encode()

    def of_record(self, part: str, record: str) -> bytes:
        return f"{self._prefixes[self.shard(record)]}{part}:{record}".encode()

    def shards(self) -> bytes:
        return f"{self._namespace}:shards".encode()

    def services(self) -> bytes:
        return f"{self._namespace}:services".encode()

    def declared(self) -> bytes:
        return f"{self._namespace}:declared".encode()

    def handed(self, service: str) -> bytes:
        return f"{self._namespace}:{{handed}}:{service}".encode()

    def rate(self, limiter: str) -> bytes:
        return f"{self._namespace}:rate:{{{limiter}}}".encode()

    def audit(self) -> bytes:
        return f"{self._namespace}:audit".encode()

    def lock(self, name: str) -> bytes:
        return f"{self._namespace}:lock:{name}".encode()
