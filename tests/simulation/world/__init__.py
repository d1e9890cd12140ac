"""A world in one event loop: processes of pavane, a broker and a store that sin, people, and time that jumps.

Everything of pavane is real: core, runtime, relay, client. What is simulated is what lies around it, each part in
a file of its own: time and the order of what happens (`loop`), chance (`chances`), the wire (`link`), RabbitMQ
(`broker`), Redis (`store`), the machines (`machine`), and whoever breaks them (`nemesis`). `run` plays one seed.

One seed is one history, byte for byte: nothing in here asks the real clock, the operating system's randomness,
a thread or a socket (`alone` takes them away while a world runs).
"""
