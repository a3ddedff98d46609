"""The items that were sent to one connection in ack mode and are not acknowledged yet.

Acks are cumulative: an ack for a seq covers every item before it. Items that are not acknowledged in time are sent
again, a limited number of times; while the window is full nothing new is sent. Times are monotonic seconds unless the
name says otherwise.
"""

from collections import deque
from enum import StrEnum
from typing import NamedTuple


class AckResult(StrEnum):
    """What an ack turned out to be. Also a metric's label."""

    OK = "ok"
    LATE = "late"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"


class AckOutcome(NamedTuple):
    """The result of an ack, and when the item that it names was accepted (Unix seconds; None if it names no item)."""

    result: AckResult
    accepted_at: float | None = None


class _SentItem(NamedTuple):
    seq: int
    accepted_at: float
    sent_at: float


class AckWindow:
    """The items that were sent and not acknowledged, in order.

    `acked` is the highest acknowledged seq, `sent` the highest seq ever written, `attempts` how often the oldest item
    was sent again, `rewound_to` the highest seq that may be sent a second time.
    """

    __slots__ = ("_items", "acked", "attempts", "rewound_to", "sent")

    def __init__(self, acked: int, sent: int) -> None:
        self.acked = acked
        self.sent = max(acked, sent)
        self.attempts = self.rewound_to = 0
        self._items: deque[_SentItem] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def was_sent(self, seq: int) -> bool:
        """Return whether an item was sent to this client before and not acknowledged: it is sent again with a mark."""
        return self.acked < seq <= self.sent

    def add(self, seq: int, accepted_at: float, now: float) -> None:
        """Record an item that was written; `accepted_at` in Unix seconds.

        An item of a channel's past precedes the pending items, or was acknowledged already: no ack is expected for it.
        """
        last = self._items[-1].seq if self._items else self.acked
        if seq > last:
            self._items.append(_SentItem(seq, accepted_at, now))
            self.sent = max(self.sent, seq)

    def acknowledge(self, seq: int, cursor: int) -> AckOutcome:
        """Record that the client has everything up to `seq`. Up to `cursor`, items were decided for this client."""
        if seq > max(cursor, self.sent):
            return AckOutcome(AckResult.UNKNOWN)
        if seq <= self.acked:
            return AckOutcome(AckResult.DUPLICATE)
        accepted_at = None
        while self._items and self._items[0].seq <= seq:
            accepted_at = self._items.popleft().accepted_at
        self.acked = seq
        result = AckResult.LATE if self.attempts else AckResult.OK
        self.attempts = 0
        return AckOutcome(result, accepted_at)

    def oldest_wait_s(self, now: float) -> float:
        """Return for how many seconds the oldest item has been pending, 0 if none is."""
        return now - self._items[0].sent_at if self._items else 0.0

    def rewind(self) -> None:
        """Drop the pending items: they are about to be sent again."""
        self.attempts += 1
        self.rewound_to = self.sent
        self._items.clear()

    def suspend(self) -> None:
        """Stop expecting acks. What was sent and what was acknowledged stays known."""
        self._items.clear()
