"""Redis behind pavane's store port. Supported: Redis 7.0 and later, and Valkey.

    store       puts the parts together
    keys        every key that pavane has in Redis, in prose
    scripts/    one Lua file per transition of `pavane.core`, and the fragments they stand on
    scripting   puts fragments and scripts together, as a library of functions
    documents   calls as the scripts read them
    actions     the same for what people do to a run
    replies     what the scripts answer
    rows        the record as it is stored
    msgpack     reads what the scripts write for themselves
    index       runs, dead letters and histories, over all shards
    agreements  locks and registrations
    server      scripts that are there, shards whose epoch is known
    checks      what a server must be before it is trusted
    wire        commands of one turn of the loop go out together
    border      which errors may leave this package

What is relied on, and what is not:

- A script runs as a whole and alone, and sees one slot. It makes all its checks before its first write,
  because Lua does not roll back.
- A lost reply means calling again: every transition answers a repeated call as it did the first time.
- What Redis acknowledged may be gone after a power cut or a failover. A missing or foreign epoch stops
  everything; a few lost writes are not noticed here.
"""

from pavane.adapters.redis.store import RedisStore

__all__ = ["RedisStore"]
