"""Planted bugs: mistakes that a system like this one makes, each a switch in a test adapter, and who catches them.

A bug is planted in the ports of a process (`ports`), between the recorders and the server (as if the adapter were
wrong) or between the recorders and the runtime (as if the process were); or in a transition of the core (`core`), for
tiers that run those. Nothing of the framework knows about it. `python -m tests.planted` says which tier catches what.
"""
