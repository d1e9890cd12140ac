"""`make chaos`: everything that can go wrong on real servers, at random, while runs go through; then the judgement.

plan       what the environment asks for, and from the seed: which fault strikes when
worker     the program of every process: the reference applications and a generated choreography, recorded
fleet      the processes, kept running; each reaches the servers through proxies of its own
field      servers, proxies, fleet and the history of faults
faults     each kind of fault: what it does, and that it is over when it returns
nemesis    lets the faults strike in their time
load       starts runs of three kinds, repeats some, steers some, and looks after them
rest       faults healed: waits until nothing moves any more, then asks for twenty fresh runs
forget     Redis forgets its last writes, or everything (MODE=rewind, MODE=flush): by itself, and judged by less
verdict    evidence of all sides, and what the checker and the services' books say to it
report     the figures, for a person and for a program
"""
