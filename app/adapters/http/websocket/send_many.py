"""Send the same bytes to many sockets: the system calls of the fan-out.

`transport.write` costs a Python call, some checks and an entry in the transport's buffer for each client. Here the loop
over the clients runs in C, and most of the time of a send is spent in the kernel. A socket may be used only while no
bytes wait in its transport (then `Link.send_handle` returns it): otherwise later bytes would overtake earlier ones.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from socket import SocketType
from typing import Any

# `Any`, because a handle may also be None: then send raises TypeError, which `send_many` expects.
_send: Callable[[Any, bytes], int] = SocketType.send


def send_many(handles: Sequence[object], frame: bytes) -> list[int]:
    """Send a frame to every socket, in order. Return how many bytes each socket accepted: 0 if it would block, is
    closed, or is None.
    """
    taken: list[int] = []
    sends = map(_send, handles, repeat(frame))
    while len(taken) < len(handles):
        try:
            taken.extend(sends)
        # This socket would block, is closed, or is None. The caller has to send the frame through the link instead. The
        # loop continues with the next socket.
        except (OSError, TypeError):
            taken.append(0)
    return taken
