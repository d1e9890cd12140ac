"""The demo: orders run through all five services, and then the books have to add up.

It is the only place that knows more than one service. `python -m services.demo`, or `make demo`.

    options    what the environment asks for
    wares      products and orders: `generated`, or read from a folder (`northwind`)
    databases  the services' databases, opened and empty before a round
    embedded   the five services in this process, on the pair in memory
    servers    a process per service, on RabbitMQ and Redis
    drive      places the orders and follows their runs to the end
    books      reads the services' databases
    audit      what must be true of them, whatever has happened
    progress, summary, tree, document    what a person sees, and what a program reads
"""
