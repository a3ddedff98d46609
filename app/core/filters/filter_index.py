"""Match one item against all slots at once, with exact counts of what each step rejects.

A slot is one filter in use: a connection and one of its channels, as a small integer. For each step the index holds the
slots that list a value, and the slots that accept any value. A match is a few intersections of compressed bitmaps; the
differences between their sizes are the exact counts by first failing step. So for every item

    matched + impact + category + source + keyword + error = slots

holds by construction. `matching` defines what is right; tests/core/test_filter_index.py compares the two.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pyroaring import BitMap

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import NO_TERMS, AnalyzedItem, CompiledFilter, FilterTerms, analyze_item, compile_filter
from app.core.filters.entitled_slots import EntitledSlots
from app.core.filters.filter import MATCH_ALL, Filter
from app.core.news.item import NewsItem, Source
from app.core.text.term_index import IndexTable, PostingLists, TermIndex

# One more than the highest threshold.
_NEVER = 101


class Misses(NamedTuple):
    """The number of slots that each step rejects by itself, whatever the other steps say."""

    impact: int
    category: int
    source: int
    keyword: int


class Match(NamedTuple):
    """The decision on one item: the slots that match, and the number of slots that each step was the
    first to reject.
    """

    recipients: BitMap
    impact: int
    category: int
    source: int
    keyword: int
    error: int
    misses: Misses


class _FilterPostings:
    """Which slots list which value: one table for each list of a filter, or of its `exclude`."""

    __slots__ = ("_categories", "_feeds", "_handles", "_keywords", "_people", "_symbols", "_tickers")

    def __init__(self) -> None:
        self._handles: PostingLists[str] = PostingLists()
        self._feeds = TermIndex()
        self._categories: PostingLists[str] = PostingLists()
        self._keywords = TermIndex()
        self._symbols: PostingLists[str] = PostingLists()
        self._tickers: PostingLists[str] = PostingLists()
        self._people = TermIndex()

    def add(self, terms: FilterTerms, slot: int) -> None:
        for table, entries in self._tables(terms):
            for entry in entries:
                table.add(entry, slot)

    def discard(self, terms: FilterTerms, slot: int) -> None:
        for table, entries in self._tables(terms):
            for entry in entries:
                table.discard(entry, slot)

    def _tables(self, terms: FilterTerms) -> Iterable[tuple[IndexTable, Iterable[object]]]:
        return (
            (self._handles, terms.handles),
            (self._feeds, terms.feeds),
            (self._categories, terms.categories),
            (self._keywords, terms.keywords),
            (self._symbols, terms.symbols),
            (self._tickers, terms.tickers),
            (self._people, terms.people),
        )

    def sizes(self) -> dict[str, int]:
        """Return the number of distinct terms of each step."""
        return {
            "category": len(self._categories),
            "source": len(self._handles) + len(self._feeds),
            "keyword": len(self._keywords) + len(self._tickers) + len(self._people),
        }

    def category_hits(self, analyzed: AnalyzedItem) -> list[BitMap]:
        return self._categories.lookup((analyzed.category,))

    def source_hits(self, analyzed: AnalyzedItem) -> list[BitMap]:
        if analyzed.source is Source.NITTER:
            return self._handles.lookup((analyzed.handle,))
        return self._feeds.lookup(analyzed.feed)

    def keyword_hits(self, analyzed: AnalyzedItem) -> list[BitMap]:
        by_text = [*self._keywords.lookup(analyzed.title), *self._keywords.lookup(analyzed.content)]
        return by_text + self._symbols.lookup(analyzed.tickers)

    def ticker_hits(self, analyzed: AnalyzedItem) -> list[BitMap]:
        return self._tickers.lookup(analyzed.tickers)

    def person_hits(self, analyzed: AnalyzedItem) -> list[BitMap]:
        return [slots for name in analyzed.people for slots in self._people.lookup(name)]

    def all_hits(self, analyzed: AnalyzedItem) -> list[BitMap]:
        return [
            *self.category_hits(analyzed),
            *self.source_hits(analyzed),
            *self.keyword_hits(analyzed),
            *self.ticker_hits(analyzed),
            *self.person_hits(analyzed),
        ]


class _Unconstrained:
    """The slots without a condition in a step, which accept any value."""

    __slots__ = ("category", "keyword", "nitter", "person", "rss", "ticker")

    def __init__(self) -> None:
        self.category, self.nitter, self.rss = BitMap(), BitMap(), BitMap()
        self.keyword, self.ticker, self.person = BitMap(), BitMap(), BitMap()

    def sets_for(self, compiled: CompiledFilter) -> list[BitMap]:
        included = compiled.included
        # A list for one kind of source rejects the other kind only in a strict filter.
        is_closed = compiled.is_strict and bool(included.handles or included.feeds)
        openings = (
            (self.category, not included.categories),
            (self.nitter, not included.handles and not is_closed),
            (self.rss, not included.feeds and not is_closed),
            (self.keyword, not included.symbols),
            (self.ticker, not included.tickers),
            (self.person, not included.people),
        )
        return [slots for slots, is_open in openings if is_open]


class FilterIndex:
    """Every filter in use, searchable by item."""

    def __init__(self) -> None:
        self._filters: dict[int, Filter] = {}
        self._broken = BitMap()
        self._unfiltered, self._excluding = BitMap(), BitMap()
        # _within[t] has the slots whose threshold is at most t, so that the impact step is one look-up.
        self._within = [BitMap() for _ in range(_NEVER)]
        self._unconstrained = _Unconstrained()
        self._included = _FilterPostings()
        self._excluded = _FilterPostings()
        self._entitled = EntitledSlots()

    def __len__(self) -> int:
        return len(self._filters) + len(self._broken)

    def put(self, slot: int, news_filter: Filter, entitled: Entitlement = UNRESTRICTED) -> None:
        """Set the filter of a slot and what it may see, replacing what it had."""
        self._broken.discard(slot)
        before = self._take_out(slot)
        compiled = compile_filter(news_filter)
        self._set_threshold(slot, before, compiled.threshold)
        for slots in self._unconstrained.sets_for(compiled):
            slots.add(slot)
        self._included.add(compiled.included, slot)
        if compiled.excluded != NO_TERMS:
            self._excluding.add(slot)
            self._excluded.add(compiled.excluded, slot)
        self._filters[slot] = news_filter
        self._entitled.put(slot, entitled)
        if news_filter == MATCH_ALL:
            self._unfiltered.add(slot)

    def put_broken(self, slot: int) -> None:
        """Add a slot whose filter cannot be read: it matches nothing, and every item counts as an error for it."""
        self.remove(slot)
        self._broken.add(slot)

    def remove(self, slot: int) -> None:
        """Remove a slot. Does nothing if it is unknown."""
        self._broken.discard(slot)
        self._set_threshold(slot, self._take_out(slot), _NEVER)
        self._entitled.put(slot, UNRESTRICTED)

    def _take_out(self, slot: int) -> int:
        """Remove a slot from everything except the thresholds; return its threshold, or `_NEVER` if it is unknown."""
        news_filter = self._filters.pop(slot, None)
        if news_filter is None:
            return _NEVER
        self._unfiltered.discard(slot)
        self._excluding.discard(slot)
        compiled = compile_filter(news_filter)
        for slots in self._unconstrained.sets_for(compiled):
            slots.discard(slot)
        self._included.discard(compiled.included, slot)
        self._excluded.discard(compiled.excluded, slot)
        return compiled.threshold

    def _set_threshold(self, slot: int, before: int, threshold: int) -> None:
        """Move a slot to another threshold; one of the two ranges is empty."""
        for slots in self._within[threshold:before]:
            slots.add(slot)
        for slots in self._within[before:threshold]:
            slots.discard(slot)

    def match(self, item: NewsItem) -> Match:
        """Decide for every slot whether the item matches its filter."""
        analyzed = analyze_item(item)
        impact = self._within[int(analyzed.impact)]
        category = _union(self._unconstrained.category, self._included.category_hits(analyzed))
        category = self._entitled.allow_category(category, analyzed)
        any_source = self._unconstrained.nitter if analyzed.source is Source.NITTER else self._unconstrained.rss
        source = _union(any_source, self._included.source_hits(analyzed))
        source = self._entitled.allow_source(source, analyzed)
        keyword = self._text_matches(analyzed)
        by_category = impact & category
        by_source = by_category & source
        recipients = by_source & keyword
        slots = len(self._filters)
        return Match(
            recipients,
            impact=slots - len(impact),
            category=len(impact) - len(by_category),
            source=len(by_category) - len(by_source),
            keyword=len(by_source) - len(recipients),
            error=len(self._broken),
            misses=Misses(slots - len(impact), slots - len(category), slots - len(source), slots - len(keyword)),
        )

    def sizes(self) -> dict[str, int]:
        """Return the number of distinct terms of each step."""
        return self._included.sizes()

    def kinds(self) -> dict[str, int]:
        """Return the number of slots by kind of filter."""
        unfiltered = len(self._unfiltered)
        return {
            "filtered": len(self._filters) - unfiltered,
            "unfiltered": unfiltered,
            "broken": len(self._broken),
        }

    def _text_matches(self, analyzed: AnalyzedItem) -> BitMap:
        admitted = _union(self._unconstrained.keyword, self._included.keyword_hits(analyzed))
        admitted = admitted & _union(self._unconstrained.ticker, self._included.ticker_hits(analyzed))
        admitted &= _union(self._unconstrained.person, self._included.person_hits(analyzed))
        excluded = self._excluded.all_hits(analyzed) if self._excluding else []
        return admitted - BitMap.union(*excluded) if excluded else admitted


def _union(open_slots: BitMap, hits: list[BitMap]) -> BitMap:
    # The largest first: the others are added to a copy of it, which takes half the time.
    return BitMap.union(*sorted((open_slots, *hits), key=len, reverse=True)) if hits else open_slots
