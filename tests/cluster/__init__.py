"""`make chaos-cluster`: what several nodes can do that one cannot. In network namespaces of its own.

    namespaces  a network that only this process has, and in it a machine for each node
    rabbit      a three-node RabbitMQ: leader, minority and majority killed, a node cut off from the others
    traffic     runs that go through meanwhile, and the longest time in which none of them moved
    stores      Redis: a failover by sentinels; a six-node Cluster that loses masters

Where the system refuses namespaces this cannot be done, and it fails saying so.
"""
