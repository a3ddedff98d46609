"""Tune Python's cyclic garbage collector.

Reference counting frees nearly every object that is created for an item. The objects of connections live long, and a
full collection of thousands of connections delays every client. With Python's default thresholds such a collection
happens while many clients are connecting at once (`python -m bench.collector`).
"""

import gc

# The arguments of gc.set_threshold(): net allocations before a collection of the youngest generation, collections of it
# before one of the middle generation, and collections of that before one of the oldest.
_THRESHOLDS = 2_000, 10, 500


def tune_garbage_collector() -> None:
    """Collect garbage once, exclude all objects that exist now from later collections, and set the thresholds.

    Call this once the server has started: code, tables and pages are then never examined again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
