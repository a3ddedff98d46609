"""Let the threads of SQLite run soon, even while the event loop computes without a pause.

A thread of Python runs only while it holds the interpreter's lock. A commit takes the lock a dozen times, and each time
it may have to wait for the switch interval, by default 5 ms. So when items are read back for many users, a commit took
more than half a second, and with it the delivery of new items.
"""

import sys

_SWITCH_INTERVAL_S = 0.0005


def let_threads_run_soon() -> None:
    """Shorten the time after which a thread that waits for the interpreter's lock gets it."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
