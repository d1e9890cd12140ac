"""The fault proxy: stands between a client and RabbitMQ or Redis, and does what networks and dying servers do.

    faults     what a proxy does to what passes, set and unset while it passes
    amqp       frames of AMQP: confirms lost, deliveries late or repeated
    resp       commands and replies of Redis: the reply lost after the command was executed
    way        one direction of a connection: late, slow, in small pieces, or not at all
    proxy      listens, connects, resets, refuses
    thread     the event loop that proxies run in, so that tests steer them from outside

What a proxy holds back it passes on when it is healed, as TCP does after a partition; what it resets is lost.
"""

from tests.proxy.faults import Faults
from tests.proxy.proxy import AmqpProxy, FaultProxy, RedisProxy
from tests.proxy.thread import LoopThread

__all__ = ["AmqpProxy", "FaultProxy", "Faults", "LoopThread", "RedisProxy"]
