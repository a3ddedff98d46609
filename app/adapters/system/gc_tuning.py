"""Tune Python's cyclic garbage collector.

Nearly every object that is made for an item is freed by its reference count. Connections stay, and a full collection of
thousands of them delays every client; with Python's default thresholds it happens in the middle of a storm of
connections (`python -m bench.collector`).
"""

import gc

# Allocations before a collection of the youngest generation; those before one of the middle generation; those before
# one of the oldest.
_THRESHOLDS = 2_000, 10, 500


def tune_garbage_collector() -> None:
    """Freeze what exists after the server has started: code, tables and pages are never examined again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
