"""The same bytes to many sockets at once. This file owns the fan-out's system calls.

A transport's write is a call from Python, some checks and a place in a list for each client; here the loop over clients
is C's, and what is left of a delivery is mostly the kernel's. It is allowed only where nothing waits in the transport
(`Link.handle`): otherwise later bytes would overtake earlier ones.
"""

import os
from collections.abc import Sequence
from itertools import repeat


def volley(handles: Sequence[int], frame: bytes) -> list[int]:
    """Write to every socket, in order; give how many bytes each took, 0 where it took none or is gone."""
    taken: list[int] = []
    writes = map(os.write, handles, repeat(frame))
    while len(taken) < len(handles):
        try:
            taken.extend(writes)
        # This one would have to wait, or is over: its link knows what to do. The next ones are written to all the same.
        except OSError:
            taken.append(0)
    return taken
