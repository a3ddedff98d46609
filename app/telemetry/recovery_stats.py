"""Counters of what it took to lose nothing: resumes, replays, gaps, acks and redeliveries."""

from collections import Counter

from app.core.delivery.ack_window import AckResult
from app.telemetry import histogram
from app.telemetry.histogram import Histogram
from app.telemetry.labels import Redelivery, Resume


class RecoveryStats:
    """Counted since the start of the process."""

    def __init__(self) -> None:
        self.resumes: Counter[Resume] = Counter()
        self.replays = Histogram(histogram.REPLAYED_ITEMS)
        self.replayed_items = self.replay_errors = self.gap_items = 0
        self.acks: Counter[AckResult] = Counter()
        self.ack_times = Histogram(histogram.DELIVERY_S)
        self.redelivered: Counter[Redelivery] = Counter()
        self.redeliveries_exhausted = 0

    def record_resume(self, result: Resume, gap_items: int = 0) -> None:
        """Count a connection that asked for what it missed, and how many of those items are gone."""
        self.resumes[result] += 1
        self.gap_items += gap_items

    def record_gap(self, items: int) -> None:
        """Count items that a connection was told it missed for good."""
        self.gap_items += items

    def record_replayed(self, redelivery: Redelivery | None) -> None:
        """Count an item sent from the log; `redelivery` says why it went to the same client before, if it did."""
        self.replayed_items += 1
        if redelivery is not None:
            self.redelivered[redelivery] += 1

    def record_replay_error(self) -> None:
        """Count an item that could not be matched against a filter when it was read back."""
        self.replay_errors += 1

    def record_replay_end(self, items: int) -> None:
        """Count a connection that caught up or closed after `items` items from the log."""
        self.replays.observe(items)

    def record_ack(self, result: AckResult, after_s: float | None) -> None:
        """Count an ack; `after_s` is the time since the item that it names was accepted."""
        self.acks[result] += 1
        if after_s is not None:
            self.ack_times.observe(after_s)

    def record_exhausted(self) -> None:
        """Count a connection that was closed because it never acknowledged."""
        self.redeliveries_exhausted += 1
