"""What a client has not acknowledged. This file owns the window of one connection in ack mode.

Acks are cumulative: one for a seq is one for everything before it. What is not acknowledged in time is sent again, a
few times; a window that is full sends nothing new. Times are monotonic seconds unless the name says otherwise.
"""

from collections import deque
from enum import StrEnum
from typing import NamedTuple


class AckResult(StrEnum):
    """What an ack was. Also a metric's label."""

    OK = "ok"
    LATE = "late"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"


class AckOutcome(NamedTuple):
    """What an ack was, and when the item that it names was accepted (Unix seconds; None when it names no item)."""

    result: AckResult
    accepted_at: float | None = None


class _SentItem(NamedTuple):
    seq: int
    accepted_at: float
    sent_at: float


class AckWindow:
    """The items that were sent and not acknowledged, in order.

    `acked` is the seq up to which the client said it has everything, `sent` the highest that was ever written to it,
    `attempts` how often the oldest was sent again, `rewound_to` up to where anything was, for want of an ack.
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
        """Say whether an item went to this client before and was not acknowledged: it goes again with a mark."""
        return self.acked < seq <= self.sent

    def add(self, seq: int, accepted_at: float, now: float) -> None:
        """Remember an item that was written; `accepted_at` in Unix seconds.

        An item of a channel's past lies behind what waits, or was acknowledged: nothing is expected for it.
        """
        last = self._items[-1].seq if self._items else self.acked
        if seq > last:
            self._items.append(_SentItem(seq, accepted_at, now))
            self.sent = max(self.sent, seq)

    def acknowledge(self, seq: int, passed: int) -> AckOutcome:
        """Take everything up to `seq` as received. `passed` is up to where items were decided for this client."""
        if seq > max(passed, self.sent):
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
        """Give for how long the oldest item has waited, 0 when none does."""
        return now - self._items[0].sent_at if self._items else 0.0

    def rewind(self) -> None:
        """Forget what waits: it is about to be sent again."""
        self.attempts += 1
        self.rewound_to = self.sent
        self._items.clear()

    def suspend(self) -> None:
        """Wait for nothing any more; up to where was sent and acknowledged stays known."""
        self._items.clear()
