"""Track the items that were sent on a connection with `ack=1` and are not acknowledged yet. These items are the ack
window of the connection; while it is full, no new items are sent.

Acks are cumulative: an ack for a seq acknowledges that item and every item before it. Items that are not acknowledged
in time are sent again, a limited number of times (`flows/delivery/acks`). `accepted_at` is in Unix seconds; all other
times are in monotonic seconds.
"""

from bisect import bisect_right
from collections import deque
from enum import StrEnum
from typing import NamedTuple


class AckResult(StrEnum):
    """The result of an ack. LATE: the ack is the first one since items were sent again. DUPLICATE: its seq was
    acknowledged already. UNKNOWN: its seq is above every item that was sent to this client or rejected by its filters.
    OK: none of these. The values are also metric labels.
    """

    OK = "ok"
    LATE = "late"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"


class AckOutcome(NamedTuple):
    """The result of an ack. `accepted_at` is the time, in Unix seconds, at which the server accepted the newest item
    that the ack acknowledges. It is None if the ack acknowledges no pending item.
    """

    result: AckResult
    accepted_at: float | None = None


class _SentItem(NamedTuple):
    seq: int
    accepted_at: float
    sent_at: float


def _seq_of(item: _SentItem) -> int:
    return item.seq


class AckWindow:
    """The pending items of one connection: those that were sent and are not acknowledged yet, in order of seq.

    `acked` is the seq up to which everything is acknowledged. `sent` is the highest seq ever sent to the device, on
    this connection or an earlier one. `attempts` is the number of redeliveries since the last ack. `rewound_to` is the
    value of `sent` at the last redelivery, and 0 before the first. `past_items` counts the items for which no ack is
    expected.
    """

    __slots__ = ("_items", "acked", "attempts", "past_items", "rewound_to", "sent")

    def __init__(self, acked: int, sent: int) -> None:
        self.acked = acked
        self.sent = max(acked, sent)
        self.attempts = self.rewound_to = self.past_items = 0
        self._items: deque[_SentItem] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def was_sent(self, seq: int) -> bool:
        """Return whether sending this item is a redelivery: its seq is above `acked` and at most `sent`."""
        return self.acked < seq <= self.sent

    def add(self, seq: int, accepted_at: float, now: float) -> None:
        """Record that an item is sent, if an ack is expected for it; `accepted_at` is in Unix seconds.

        An ack is expected only if the item's seq is above that of the newest pending item or, without pending items,
        above `acked`. Any other item is sent because the client asked for the past of a channel.
        """
        last = self._items[-1].seq if self._items else self.acked
        if seq > last:
            self._items.append(_SentItem(seq, accepted_at, now))
            self.sent = max(self.sent, seq)
        else:
            self.past_items += 1

    def has_pending(self, after: int, up_to: int) -> bool:
        """Return whether an item with `after` < seq <= `up_to` is pending."""
        following = bisect_right(self._items, after, key=_seq_of)
        return following < len(self._items) and self._items[following].seq <= up_to

    def acknowledge(self, seq: int, cursor: int) -> AckOutcome:
        """Record that the client acknowledges everything up to `seq`, and return the result. `cursor` is the seq up to
        which items were matched or rejected for this client.

        An ack above both `cursor` and `sent` is UNKNOWN, and an ack that is not above `acked` is a DUPLICATE. Both
        change nothing.
        """
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
        """Return how many seconds ago the oldest pending item was sent. Without pending items, return 0."""
        return now - self._items[0].sent_at if self._items else 0.0

    def rewind(self) -> None:
        """Drop all pending items and count one redelivery. The caller then sends these items again from the log."""
        self.attempts += 1
        self.rewound_to = self.sent
        self._items.clear()

    def suspend(self) -> None:
        """Drop all pending items because the connection is closed. `acked` and `sent` are kept for the next connection
        of the device.
        """
        self._items.clear()
