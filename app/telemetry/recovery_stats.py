"""Counters of the recovery of missed items: resumes, replays, gaps, acks and redeliveries."""

from collections import Counter

from app.core.delivery.ack_window import AckResult
from app.telemetry import histogram
from app.telemetry.histogram import Histogram
from app.telemetry.labels import Redelivery, Resume


class RecoveryStats:
    """Counters and histograms of recovery since the start of the process. `replays` is a histogram of the number of
    items in each replay. `ack_times` is a histogram of the seconds from an item's acceptance to its ack.
    """

    def __init__(self) -> None:
        self.resumes: Counter[Resume] = Counter()
        self.replays = Histogram(histogram.REPLAYED_ITEMS)
        self.replayed_items = self.replay_errors = self.gap_items = 0
        self.acks: Counter[AckResult] = Counter()
        self.ack_times = Histogram(histogram.DELIVERY_S)
        self.redelivered: Counter[Redelivery] = Counter()
        self.redeliveries_exhausted = 0

    def record_resume(self, result: Resume, gap_items: int = 0) -> None:
        """Count a connection that asked for missed items, by result. `gap_items` is the number of these items that are
        no longer in the log.
        """
        self.resumes[result] += 1
        self.gap_items += gap_items

    def record_gap(self, items: int) -> None:
        """Count items that were deleted from the log before a connection that was reading it reached them."""
        self.gap_items += items

    def record_replayed(self, redelivery: Redelivery | None) -> None:
        """Count an item that was read from the log and sent to one connection. `redelivery` is why the item was sent to
        the client again, or None if this was no redelivery.
        """
        self.replayed_items += 1
        if redelivery is not None:
            self.redelivered[redelivery] += 1

    def record_replay_error(self) -> None:
        """Count an item from the log for which the evaluation of a channel's filter raised an exception."""
        self.replay_errors += 1

    def record_replay_end(self, items: int) -> None:
        """Record how many items one replay sent to its connection before the connection went live or was closed."""
        self.replays.observe(items)

    def record_ack(self, result: AckResult, after_s: float | None) -> None:
        """Count an ack. `after_s` is how many seconds ago the newest item that the ack removed from the window was
        accepted. It is None if the ack removed no item.
        """
        self.acks[result] += 1
        if after_s is not None:
            self.ack_times.observe(after_s)

    def record_exhausted(self) -> None:
        """Count a connection that was closed because items were still not acknowledged after the last redelivery."""
        self.redeliveries_exhausted += 1
