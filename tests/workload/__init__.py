"""Generated choreographies: what a seed makes of chains, fans, branches, races, timers and cycles, and who uses them.

`plan` draws a choreography as plain values, `build` makes an ordinary `App` of it, whose handlers (`acts`) do to the
world outside what they have drawn, and `people` start its runs and steer them. The simulation and the chaos on real
servers use the same.
"""
