"""RabbitMQ behind pavane's broker port. Supported: 3.10 and later, 4.x included.

    broker        puts the parts together
    connection    one connection that comes back; there are two, to publish and to consume
    topology      pure: queues, exchanges and bindings, the delay wheel among them
    declare       asks what exists, declares what does not, never changes what differs
    migration     replaces a queue by one with other arguments, with `mover`, `unchanged` and `marker`
    publisher     confirmed, mandatory publishes, many at a time
    subscription  a consumer that outlives channel, connection and queue
    consumer      one consumer on one channel
    acks          acknowledgements, gathered
    delivery      what came off the wire, in the port's words
    decode        reading what hostile publishers send
    border        which errors may leave this package

What is relied on, and what is not:

- A message is ours until the broker has confirmed it, and the broker's until it was acknowledged. A lost
  confirm means publishing again, a lost acknowledgement means a redelivery; both are duplicates, which the
  receiver knows by the event's id.
- Nothing is published to the default exchange, no exchange that we publish to has an alternate one (it would
  silence `mandatory`), nothing expires but on the wheel.
- Attempts are not counted here. The broker's delivery count only bounds what never gets to count itself.
"""

from pavane.adapters.rabbitmq.broker import RabbitMQBroker

__all__ = ["RabbitMQBroker"]
