"""The same bytes to many sockets at once. This file owns the fan-out's system calls.

A transport's write is a call from Python, some checks and a place in a list for each client; here the loop over clients
is C's, and what is left of a delivery is mostly the kernel's. It is allowed only where nothing waits in the transport
(`Link.handle`): otherwise later bytes would overtake earlier ones.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from socket import SocketType
from typing import Any

# Any: what is no socket is an error, and that is how it is told.
_send: Callable[[Any, bytes], int] = SocketType.send


def send_many(handles: Sequence[object], frame: bytes) -> list[int]:
    """Send to every socket, in order; give how many bytes each took, 0 where it took none, is gone, or is None."""
    taken: list[int] = []
    sends = map(_send, handles, repeat(frame))
    while len(taken) < len(handles):
        try:
            taken.extend(sends)
        # This one would have to wait, is over, or is none: its link knows what to do. The others get it all the same.
        except (OSError, TypeError):
            taken.append(0)
    return taken
