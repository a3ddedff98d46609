"""What it took to lose nothing. This file owns the counts of resumes, replays, gaps, acks and redeliveries."""

from collections import Counter

from app.core.delivery.ack_window import AckResult
from app.telemetry import histogram
from app.telemetry.histogram import Histogram
from app.telemetry.labels import Redelivery, Resume


class RecoveryStats:
    """Counted since the start."""

    def __init__(self) -> None:
        self.resumes: Counter[Resume] = Counter()
        self.replays = Histogram(histogram.REPLAYED_ITEMS)
        self.replayed_items = self.replay_errors = self.gap_items = 0
        self.acks: Counter[AckResult] = Counter()
        self.ack_times = Histogram(histogram.DELIVERY_S)
        self.redelivered: Counter[Redelivery] = Counter()
        self.redeliveries_exhausted = 0

    def resumed(self, result: Resume, gap_items: int = 0) -> None:
        """Count a connection that asked for what it missed, and what of it is gone."""
        self.resumes[result] += 1
        self.gap_items += gap_items

    def item_replayed(self, again: Redelivery | None) -> None:
        """Count an item that a connection got from the log; `again`: it went to that client before, and why."""
        self.replayed_items += 1
        if again is not None:
            self.redelivered[again] += 1

    def replay_ended(self, items: int) -> None:
        """Count a connection that is level with the log again, or gone, after so many items from it."""
        self.replays.observe(items)

    def acked(self, result: AckResult, after_s: float | None) -> None:
        """Count an ack; `after_s` is the time since the item that it names was accepted."""
        self.acks[result] += 1
        if after_s is not None:
            self.ack_times.observe(after_s)
