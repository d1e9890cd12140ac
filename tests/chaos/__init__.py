"""The kill-test: real orders on real servers while every process dies again and again, and then the books.

    python -m tests.chaos.kill_test        or make kill-test; JSON=1 for one object in the last line

    plan       what the environment asks for, and from the seed: when whom is killed
    goods      the orders, and what is known of them from the files alone
    service    the program that is killed: one of the services as it is, its handlers leaving marks
    marks      who was inside a handler when a process died
    keeper     keeps one service running: kills it as planned, starts it again
    outages    RabbitMQ and Redis killed once each, in the middle (SERVERS=1)
    load       places the orders, follows their runs, redrives crash loops
    remains    what is left in records and queues when all is over
    judge      what must be true then; each violation is a sentence
    round      one round of all this
    report     the figures, for a person and for a program

A job that was killed comes back when its lease has run out (30 or 60 s): two kills of one job are always a
lease apart. Three of them make a crash loop, whose letter `load` redrives; the figures say how many.

`tests.chaos.storm` beside it is `make chaos`: every kind of fault at random, on all applications at once.
"""
