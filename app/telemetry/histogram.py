"""A histogram, and the bucket edges of the server's histograms.

Every threshold of an objective or alert is exactly an edge, such as 100 ms for delivery, so that the share of
observations within it is exact.
"""

from bisect import bisect_left
from typing import NamedTuple

DELIVERY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WORK_S = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
REQUEST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LOOP_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ROUND_TRIP_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
LIFE_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0)
REPLAYED_ITEMS = (0.0, 1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0, 50000.0, 100000.0)
RECIPIENTS = (0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 25000.0)


class Example(NamedTuple):
    """An exemplar: one observation with labels that identify it, its value, and its time (Unix seconds)."""

    labels: dict[str, str]
    value: float
    at: float


class Histogram:
    """Counts observations in buckets: `counts[i]` is the number of values above `edges[i - 1]` and at most `edges[i]`.
    The last count is the number of values above every edge. `total` is the sum of all values; `examples` holds
    exemplars by the index of their bucket.
    """

    __slots__ = ("counts", "edges", "examples", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0
        self.examples: dict[int, Example] = {}

    @property
    def count(self) -> int:
        return sum(self.counts)

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.edges, value)] += times
        self.total += value * times

    def exemplify(self, example: Example) -> None:
        """Keep an observation as the exemplar of its bucket."""
        self.examples[bisect_left(self.edges, example.value)] = example
