"""Whether a channel wants an item that is read back from the log. This file owns asking one filter at a time."""

import structlog

from app.core.access.entitlement import Entitlement
from app.core.filters.analysis import AnalyzedItem, CompiledFilter, analyze_item, compile_filter
from app.core.filters.filter import Filter
from app.core.filters.matching import first_rejection
from app.core.news.item import NewsItem
from app.flows.delivery.session import Channel
from app.ports.log import Record
from app.telemetry.stats import Stats

_REMEMBERED_READINGS = 512

_log = structlog.get_logger("judge")


class ReplayFilter:
    """Asks filters what they want; by definition the same that the index says (tests/core/test_index.py)."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        # Many read the same items: those read last are tokenised once.
        self._readings: dict[int, AnalyzedItem] = {}

    def matches(self, channel: Channel, record: Record, entitled: Entitlement) -> bool:
        """Say whether a channel wants an item that its owner may see.

        A filter that cannot be read or asked wants nothing, and is counted.
        """
        if channel.filter is None:
            return False
        if record.item.impact_score < channel.filter.impact_threshold:
            # The first step, asked before the item is tokenised: most filters reject most items here.
            return False
        try:
            criteria = _criteria(channel, channel.filter, entitled)
            return first_rejection(self._reading(record.seq, record.item), criteria) is None
        # Fail closed, as live matching does.
        except Exception:  # noqa: BLE001
            _log.exception("match_failed", item_id=record.item.id, sequence=record.seq)
            self._stats.recovery.replay_errors += 1
            return False

    def _reading(self, seq: int, item: NewsItem) -> AnalyzedItem:
        if seq not in self._readings:
            if len(self._readings) >= _REMEMBERED_READINGS:
                del self._readings[next(iter(self._readings))]
            self._readings[seq] = analyze_item(item)
        return self._readings[seq]


def _criteria(channel: Channel, wants: Filter, entitled: Entitlement) -> CompiledFilter:
    """Read a channel's filter once, until it has another, or its owner may see something else."""
    if channel.compiled is None or channel.compiled[0] is not wants or channel.compiled[1].entitled != entitled:
        channel.compiled = wants, compile_filter(wants, entitled)
    return channel.compiled[1]
