"""One item against every slot at once. This file owns the fast truth: who gets it, how many each step rejected.

A slot is one filter in use (a connection and one of its channels), a small integer. For every step the index holds the
set of slots that a value admits and the set that any value admits; a match is a few intersections of compressed
bitmaps, and the sizes between them are the exact reject counts by first failing step. So for every item

    matched + impact + category + source + keyword + error = slots

holds by construction. `matching` says what is right; tests/core/test_index.py holds this file to it.
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
    """How many slots each step alone would have rejected, whatever the others say."""

    impact: int
    category: int
    source: int
    keyword: int


class Match(NamedTuple):
    """The decision on one item: the slots that want it, and how many slots each step was the first to reject."""

    recipients: BitMap
    impact: int
    category: int
    source: int
    keyword: int
    error: int
    misses: Misses


class _FilterPostings:
    """Which slots list what: one table for each list of a filter, or of its `exclude`."""

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
        """Count the distinct terms of each step."""
        return {
            "category": len(self._categories),
            "source": len(self._handles) + len(self._feeds),
            "keyword": len(self._keywords) + len(self._tickers) + len(self._people),
        }

    def category_hits(self, reading: AnalyzedItem) -> list[BitMap]:
        return self._categories.lookup((reading.category,))

    def source_hits(self, reading: AnalyzedItem) -> list[BitMap]:
        if reading.source is Source.NITTER:
            return self._handles.lookup((reading.handle,))
        return self._feeds.lookup(reading.feed)

    def keyword_hits(self, reading: AnalyzedItem) -> list[BitMap]:
        by_text = [*self._keywords.lookup(reading.title), *self._keywords.lookup(reading.content)]
        return by_text + self._symbols.lookup(reading.tickers)

    def ticker_hits(self, reading: AnalyzedItem) -> list[BitMap]:
        return self._tickers.lookup(reading.tickers)

    def person_hits(self, reading: AnalyzedItem) -> list[BitMap]:
        return [slots for name in reading.people for slots in self._people.lookup(name)]

    def all_hits(self, reading: AnalyzedItem) -> list[BitMap]:
        return [
            *self.category_hits(reading),
            *self.source_hits(reading),
            *self.keyword_hits(reading),
            *self.ticker_hits(reading),
            *self.person_hits(reading),
        ]


class _Unconstrained:
    """Which slots list nothing for a step, and so admit any value of it."""

    __slots__ = ("category", "keyword", "nitter", "person", "rss", "ticker")

    def __init__(self) -> None:
        self.category, self.nitter, self.rss = BitMap(), BitMap(), BitMap()
        self.keyword, self.ticker, self.person = BitMap(), BitMap(), BitMap()

    def sets_for(self, criteria: CompiledFilter) -> list[BitMap]:
        wants = criteria.included
        # A list for one kind of source closes the other kind only in a strict filter.
        is_closed = criteria.is_strict and bool(wants.handles or wants.feeds)
        openings = (
            (self.category, not wants.categories),
            (self.nitter, not wants.handles and not is_closed),
            (self.rss, not wants.feeds and not is_closed),
            (self.keyword, not wants.symbols),
            (self.ticker, not wants.tickers),
            (self.person, not wants.people),
        )
        return [slots for slots, is_open in openings if is_open]


class FilterIndex:
    """Every filter in use, searchable by item."""

    def __init__(self) -> None:
        self._filters: dict[int, Filter] = {}
        self._broken = BitMap()
        self._unfiltered, self._excluding = BitMap(), BitMap()
        # _within[t]: the slots whose threshold is at most t, so that one look-up answers the impact step.
        self._within = [BitMap() for _ in range(_NEVER)]
        self._unconstrained = _Unconstrained()
        self._included = _FilterPostings()
        self._excluded = _FilterPostings()
        self._entitled = EntitledSlots()

    def __len__(self) -> int:
        return len(self._filters) + len(self._broken)

    def put(self, slot: int, wants: Filter, entitled: Entitlement = UNRESTRICTED) -> None:
        """Give a slot its filter and what it may see, in place of what it had."""
        self._broken.discard(slot)
        before = self._take_out(slot)
        criteria = compile_filter(wants)
        self._set_threshold(slot, before, criteria.threshold)
        for slots in self._unconstrained.sets_for(criteria):
            slots.add(slot)
        self._included.add(criteria.included, slot)
        if criteria.excluded != NO_TERMS:
            self._excluding.add(slot)
            self._excluded.add(criteria.excluded, slot)
        self._filters[slot] = wants
        self._entitled.put(slot, entitled)
        if wants == MATCH_ALL:
            self._unfiltered.add(slot)

    def put_broken(self, slot: int) -> None:
        """Keep a slot whose filter cannot be read: it matches nothing and every item counts as an error for it."""
        self.remove(slot)
        self._broken.add(slot)

    def remove(self, slot: int) -> None:
        """Forget a slot; nothing happens when it is unknown."""
        self._broken.discard(slot)
        self._set_threshold(slot, self._take_out(slot), _NEVER)
        self._entitled.put(slot, UNRESTRICTED)

    def _take_out(self, slot: int) -> int:
        """Take a slot out of everything but the thresholds; give the one that it had, or `_NEVER`."""
        wants = self._filters.pop(slot, None)
        if wants is None:
            return _NEVER
        self._unfiltered.discard(slot)
        self._excluding.discard(slot)
        criteria = compile_filter(wants)
        for slots in self._unconstrained.sets_for(criteria):
            slots.discard(slot)
        self._included.discard(criteria.included, slot)
        self._excluded.discard(criteria.excluded, slot)
        return criteria.threshold

    def _set_threshold(self, slot: int, before: int, threshold: int) -> None:
        """Move a slot to another threshold; one of the two ranges is empty."""
        for slots in self._within[threshold:before]:
            slots.add(slot)
        for slots in self._within[before:threshold]:
            slots.discard(slot)

    def match(self, item: NewsItem) -> Match:
        """Decide for every slot whether it wants the item."""
        reading = analyze_item(item)
        impact = self._within[int(reading.impact)]
        category = _union(self._unconstrained.category, self._included.category_hits(reading))
        category = self._entitled.allow_category(category, reading)
        any_source = self._unconstrained.nitter if reading.source is Source.NITTER else self._unconstrained.rss
        source = _union(any_source, self._included.source_hits(reading))
        source = self._entitled.allow_source(source, reading)
        keyword = self._text_matches(reading)
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
        """Count the distinct terms of each step."""
        return self._included.sizes()

    def kinds(self) -> dict[str, int]:
        """Count the slots by what their filter is like."""
        unfiltered = len(self._unfiltered)
        return {
            "filtered": len(self._filters) - unfiltered,
            "unfiltered": unfiltered,
            "broken": len(self._broken),
        }

    def _text_matches(self, reading: AnalyzedItem) -> BitMap:
        admitted = _union(self._unconstrained.keyword, self._included.keyword_hits(reading))
        admitted = admitted & _union(self._unconstrained.ticker, self._included.ticker_hits(reading))
        admitted &= _union(self._unconstrained.person, self._included.person_hits(reading))
        refused = self._excluded.all_hits(reading) if self._excluding else []
        return admitted - BitMap.union(*refused) if refused else admitted


def _union(open_slots: BitMap, hits: list[BitMap]) -> BitMap:
    # The largest first: what comes later is put into a copy of it, which takes half the time.
    return BitMap.union(*sorted((open_slots, *hits), key=len, reverse=True)) if hits else open_slots
