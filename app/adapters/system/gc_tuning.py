"""Tune Python's cyclic garbage collector.

Reference counting frees nearly every object that is created for an item, so the collector finds little to free. But a
full collection examines the long-lived objects of thousands of connections, and that delays every client. With Python's
default thresholds, as `bench/collector.py` shows, such a collection happens while many clients are connecting at once.
"""

import gc

# The three arguments of gc.set_threshold(). The first is the number of net allocations before the youngest generation
# is collected. The second is the number of those collections before the middle generation is collected. The third is
# the number of collections of the middle generation before the oldest is collected.
_THRESHOLDS = 2_000, 10, 500


def tune_garbage_collector() -> None:
    """Collect garbage once, exclude all objects that exist now from later collections, and set the thresholds.

    Call this after the server has started, so that its code, vocabularies and web pages are never examined again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
