"""`make soak`: an even load for a long time, without faults. What may not grow is measured, and judged by its gate.

worker   the program of the processes: a chain of five steps, which also says how many tasks it has
gauges   what is measured: memory, descriptors, threads, tasks, channels, consumers, keys, the log on disk
gates    what is allowed; pure functions over the measurements
"""
