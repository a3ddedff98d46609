"""Match an item that is read from the log against the filter of one channel.

Live items are matched against all filters at once, by the filter index.
"""

from app.core.access.entitlement import Entitlement
from app.core.filters.analysis import AnalyzedItem, CompiledFilter, analyze_item, compile_filter
from app.core.filters.filter import Filter
from app.core.filters.matching import first_rejection
from app.core.news.item import NewsItem
from app.flows.delivery.channel import Channel
from app.ports.log import Record

# The cached items take at most 20 MB: a word of a tokenized text takes 70 bytes.
_CACHED_ITEMS, _CACHED_LENGTH = 256, 2_000


class ReplayFilter:
    """Evaluates one filter at a time with the reference implementation in `core/filters/matching`.

    The filter index must have the same results (tests/core/test_filter_index.py).
    """

    def __init__(self) -> None:
        # Analyzed items by seq, at most `_CACHED_ITEMS`, and none with a longer content than `_CACHED_LENGTH`
        # characters. An item that many connections read is tokenized only once.
        self._analyzed: dict[int, AnalyzedItem] = {}

    def matches(self, channel: Channel, record: Record, entitled: Entitlement) -> bool:
        """Return whether a channel's filter matches an item and `entitled` allows the user to see the item.

        A filter that could not be loaded (None) matches nothing. Raises whatever the evaluation raises; the caller must
        not treat the item as rejected then.
        """
        if channel.filter is None:
            return False
        if record.item.impact_score < channel.filter.impact_threshold:
            # The impact step, evaluated before the item is tokenized: it rejects most items for most filters.
            return False
        compiled = _compile(channel, channel.filter, entitled)
        return first_rejection(self._analyze(record.seq, record.item), compiled) is None

    def _analyze(self, seq: int, item: NewsItem) -> AnalyzedItem:
        if len(item.content) > _CACHED_LENGTH:
            return analyze_item(item)
        if seq not in self._analyzed:
            if len(self._analyzed) >= _CACHED_ITEMS:
                del self._analyzed[next(iter(self._analyzed))]
            self._analyzed[seq] = analyze_item(item)
        return self._analyzed[seq]


def _compile(channel: Channel, wanted: Filter, entitled: Entitlement) -> CompiledFilter:
    """Return a channel's filter in compiled form, cached in the channel until the filter or the user's entitlement
    changes.
    """
    if channel.compiled is None or channel.compiled[0] is not wanted or channel.compiled[1].entitled != entitled:
        channel.compiled = wanted, compile_filter(wanted, entitled)
    return channel.compiled[1]
