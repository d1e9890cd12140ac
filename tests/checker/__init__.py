"""The checker: histories of what was asked and answered, a ledger of effects outside, and seventeen invariants.

Everything that is tested (the simulation, processes on real servers, clients) is recorded by the same wrappers
(`recording`) into the same kind of history, and judged by the same function (`judge`). What pavane says of itself
is one witness among several; it is never believed alone.
"""
