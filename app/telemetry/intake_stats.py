"""Counters of items on their way into the log, and of feeds that were fetched."""

from collections import Counter
from collections.abc import Mapping

from app.core.news.feed_entry import EntryOutcome
from app.telemetry.labels import Fetch, Intake, Rejection


class IntakeStats:
    """Counters of the intake since the start of the process. A request that is refused for its token, size or content
    counts as one rejected item, however many items it contains.
    """

    def __init__(self) -> None:
        self.accepted: Counter[Intake] = Counter()
        self.rejected: Counter[Rejection] = Counter()
        self.fetches: Counter[Fetch] = Counter()
        self.entries: Counter[EntryOutcome] = Counter()

    def record_accepted(self, intake: Intake, items: int) -> None:
        self.accepted[intake] += items

    def record_rejected(self, reason: Rejection, items: int = 1) -> None:
        self.rejected[reason] += items

    def record_entries(self, outcomes: Mapping[EntryOutcome, int]) -> None:
        """Count the entries of one fetched document."""
        for outcome, entries in outcomes.items():
            self.entries[outcome] += entries

    def record_fetch(self, result: Fetch) -> None:
        self.fetches[result] += 1
