"""Plain integers. This file owns what is counted and the verbs that count it; `exposition` owns names and rendering.

Only the event loop's thread counts. A broadcast is counted once, not once a recipient: its send latencies arrive as
(seconds, number of sends) pairs.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from app.core.closing import Ending
from app.core.index import Match
from app.core.matching import Outcome

DELIVERY_EDGES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""An edge lies exactly on the objective of 100 ms."""
RECIPIENT_EDGES = (0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000)


class Intake(StrEnum):
    """Which way an item came in."""

    RSS = "rss"
    API = "api"
    SAMPLE = "sample"


class Rejection(StrEnum):
    """Why an item did not get into the log."""

    DUPLICATE = "duplicate"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    QUEUE_FULL = "queue_full"
    STORAGE = "storage"


class Refusal(StrEnum):
    """Why an upgrade request was refused."""

    BAD_REQUEST = "bad_request"
    MISSING_USER = "missing_user"
    CAPACITY = "capacity"
    USER_LIMIT = "user_limit"
    DRAINING = "draining"
    INTERNAL_ERROR = "internal_error"


class Inbound(StrEnum):
    """What a client's message was."""

    PING = "ping"
    SUBSCRIBE = "subscribe"
    INVALID = "invalid"
    RATE_LIMITED = "rate_limited"


class Sent(StrEnum):
    """What became of an item for a connection that matched it."""

    WRITTEN = "written"
    CLOSED = "closed"


class Broadcast(StrEnum):
    """What became of an item that left the queue."""

    DELIVERED = "delivered"
    UNMATCHED = "unmatched"
    ERROR = "error"


class Fetch(StrEnum):
    """What became of one look at a feed."""

    NEW = "new"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class Histogram:
    """Counts by upper edge; the last count is for everything above the last edge."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.edges, value)] += times
        self.total += value * times


class Stats:
    """Everything counted since the start."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed: Counter[Ending] = Counter()
        self.refused: Counter[Refusal] = Counter()
        self.inbound: Counter[Inbound] = Counter()
        self.accepted: Counter[Intake] = Counter()
        self.rejected: Counter[Rejection] = Counter()
        self.broadcast: Counter[Broadcast] = Counter()
        self.decisions: Counter[Outcome] = Counter()
        self.sends: Counter[Sent] = Counter()
        self.fetches: Counter[Fetch] = Counter()
        self.delivery_latency = Histogram(DELIVERY_EDGES_S)
        self.recipients = Histogram(RECIPIENT_EDGES)

    def connection_opened(self) -> None:
        self.opened += 1

    def connection_closed(self, ending: Ending) -> None:
        self.closed[ending] += 1

    def item_decided(self, match: Match) -> None:
        """Count one item's decisions, and how many it reached."""
        decisions = self.decisions
        decisions[Outcome.MATCHED] += len(match.recipients)
        decisions[Outcome.IMPACT] += match.impact
        decisions[Outcome.CATEGORY] += match.category
        decisions[Outcome.SOURCE] += match.source
        decisions[Outcome.KEYWORD] += match.keyword
        decisions[Outcome.ERROR] += match.error
        self.recipients.observe(len(match.recipients))
        self.broadcast[Broadcast.DELIVERED if match.recipients else Broadcast.UNMATCHED] += 1

    def item_undecided(self, slots: int) -> None:
        """Count an item whose matching failed: it went to nobody, and every slot's decision was an error."""
        self.decisions[Outcome.ERROR] += slots
        self.broadcast[Broadcast.ERROR] += 1

    def item_sent(self, written: int, closed: int, latencies: Iterable[tuple[float, int]]) -> None:
        """Count one item's sends; `latencies` are (seconds from acceptance, number of sends)."""
        self.sends[Sent.WRITTEN] += written
        self.sends[Sent.CLOSED] += closed
        for seconds, times in latencies:
            self.delivery_latency.observe(seconds, times)
