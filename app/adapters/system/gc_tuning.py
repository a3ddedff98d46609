"""Python's cyclic garbage collector. This file owns how often it looks, and at what.

Nearly all that is made for an item is gone by reference count. What stays are connections, and a full look at
thousands of them holds everybody up; with Python's own thresholds it comes in the middle of a storm of connections
(`python -m bench.collector`).
"""

import gc

# Young objects before a look at them; looks before one at the middle generation; those before one at everything.
_THRESHOLDS = 2_000, 10, 500


def tune_garbage_collector() -> None:
    """Set aside what is there once the server has started: code, tables and pages are never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
