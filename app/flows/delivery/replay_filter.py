"""Whether a channel's filter matches an item that is read back from the log: one filter at a time."""

import structlog

from app.core.access.entitlement import Entitlement
from app.core.filters.analysis import AnalyzedItem, CompiledFilter, analyze_item, compile_filter
from app.core.filters.filter import Filter
from app.core.filters.matching import first_rejection
from app.core.news.item import NewsItem
from app.flows.delivery.session import Channel
from app.ports.log import Record
from app.telemetry.stats import Stats

_CACHED_ITEMS = 512

_log = structlog.get_logger("replay_filter")


class ReplayFilter:
    """Evaluates filters by their definition, which the index must agree with (tests/core/test_filter_index.py)."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        # Many connections read the same items: the most recent ones are tokenized once.
        self._analyzed: dict[int, AnalyzedItem] = {}

    def matches(self, channel: Channel, record: Record, entitled: Entitlement) -> bool:
        """Return whether a channel's filter matches an item that the user may see.

        A filter that cannot be read or evaluated matches nothing, and is counted.
        """
        if channel.filter is None:
            return False
        if record.item.impact_score < channel.filter.impact_threshold:
            # The first step, taken before the item is tokenized: it rejects most items for most filters.
            return False
        try:
            compiled = _compile(channel, channel.filter, entitled)
            return first_rejection(self._analyze(record.seq, record.item), compiled) is None
        # Fail closed, as live matching does.
        except Exception:  # noqa: BLE001
            _log.exception("match_failed", item_id=record.item.id, sequence=record.seq)
            self._stats.recovery.record_replay_error()
            return False

    def _analyze(self, seq: int, item: NewsItem) -> AnalyzedItem:
        if seq not in self._analyzed:
            if len(self._analyzed) >= _CACHED_ITEMS:
                del self._analyzed[next(iter(self._analyzed))]
            self._analyzed[seq] = analyze_item(item)
        return self._analyzed[seq]


def _compile(channel: Channel, wanted: Filter, entitled: Entitlement) -> CompiledFilter:
    """Compile a channel's filter once, until the filter or the user's entitlement changes."""
    if channel.compiled is None or channel.compiled[0] is not wanted or channel.compiled[1].entitled != entitled:
        channel.compiled = wanted, compile_filter(wanted, entitled)
    return channel.compiled[1]
