"""The same bytes to many sockets: the system calls of the fan-out.

`transport.write` is a Python call, some checks and a list entry for each client. Here the loop over clients runs in C,
and what is left of a send is mostly the kernel's. It is allowed only while nothing waits in a link
(`Link.send_handle`): otherwise later bytes would overtake earlier ones.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from socket import SocketType
from typing import Any

# Any: whatever is not a socket raises TypeError, which is how it is told apart.
_send: Callable[[Any, bytes], int] = SocketType.send


def send_many(handles: Sequence[object], frame: bytes) -> list[int]:
    """Send to every socket, in order. Return how many bytes each took: 0 if none, if it is closed, or for None."""
    taken: list[int] = []
    sends = map(_send, handles, repeat(frame))
    while len(taken) < len(handles):
        try:
            taken.extend(sends)
        # This socket would block, is closed, or is none: its link knows what to do. The others are sent to all the
        # same.
        except (OSError, TypeError):
            taken.append(0)
    return taken
