"""Which queues can be replaced by one with other arguments, and what stands in for them meanwhile.

A queue's arguments cannot be changed, and its name has to stay. So the messages go to a queue beside it, its
*interim* `<queue>.moved`, while the old one is deleted and the new one declared, and come back from there.
"""

from __future__ import annotations

from typing import Final

_INTERIM: Final = "moved"
_WORDS: Final = {"q": 4, "undo": 4, "dlq": 4, "intake": 3, "parked": 2}
"""By its second word, of how many words the name of a queue is that can be replaced: those of the delay wheel
cannot, since what is in them would wait anew."""


def is_movable(queue: str) -> bool:
    """Whether this is a queue that holds jobs or letters, and no interim."""
    words = queue.split(".")
    return len(words) > 1 and len(words) == _WORDS.get(words[1])


def interim(queue: str) -> str:
    """The queue that stands in for `queue` while it is replaced."""
    return f"{queue}.{_INTERIM}"


def home(queue: str) -> str:
    """The queue whose messages `queue` holds: of an interim the one that it stands in for, else itself.

    A worker may be called `moved` as well: how many words the name has decides.
    """
    original, _, last = queue.rpartition(".")
    return original if last == _INTERIM and is_movable(original) else queue
