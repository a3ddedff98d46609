"""Match one item against all slots at once, and count exactly for how many slots each step is the first to reject it.

A slot is a small integer that stands for one filter in use: one channel of one connection. For each value that filters
list, the index holds a bitmap of the slots that list it. For each list, it also holds a bitmap of the slots that accept
any value. A match is a few intersections of these compressed bitmaps. A slot is counted under the first step that
rejects the item, or under `error` if its filter cannot be read. The counts of the steps are differences between the
sizes of bitmaps. So for every item this holds by construction:

    matched + impact + category + source + keyword + error = slots

`matching` defines which result is correct, and tests/core/test_filter_index.py compares this module with it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pyroaring import BitMap

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import NO_TERMS, AnalyzedItem, CompiledFilter, FilterTerms, analyze_item, compile_filter
from app.core.filters.entitled_slots import EntitledSlots
from app.core.filters.filter import MATCH_ALL, Filter
from app.core.news.item import NewsItem, Source
from app.core.text.postings import PostingLists
from app.core.text.term_index import IndexTable, TermIndex

# The threshold of a slot that has no filter, and so must match nothing: one more than the highest impact score.
_NEVER = 101


class Misses(NamedTuple):
    """How many slots' filters reject the item at each step of a filter (impact, category, source, keyword). A slot is
    counted for every step that rejects the item, not only for the first. Slots whose filter cannot be read are not
    counted.
    """

    impact: int
    category: int
    source: int
    keyword: int


class Match(NamedTuple):
    """The result of matching one item. `recipients` are the slots that match. `impact`, `category`, `source` and
    `keyword` are counts: each is the number of slots for which the step of that name is the first to reject the item.
    `error` is the number of slots whose filter cannot be read.
    """

    recipients: BitMap
    impact: int
    category: int
    source: int
    keyword: int
    error: int
    misses: Misses


class _FilterPostings:
    """For each value that filters list, the slots that list it. There is one table for each list of `FilterTerms`; one
    instance has the filters' own lists, another has the lists of their `exclude`.
    """

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
        """Return the number of distinct values that are listed, by step. `_symbols` is not counted, because it has the
        keywords a second time.
        """
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
    """For each list of a filter, the slots that accept any value, because their filter leaves the list empty. `nitter`
    has the slots that accept every Nitter account, and `rss` those that accept every RSS feed. The slot of a strict
    filter that lists any account or feed is in neither of these two sets.
    """

    __slots__ = ("category", "keyword", "nitter", "person", "rss", "ticker")

    def __init__(self) -> None:
        self.category, self.nitter, self.rss = BitMap(), BitMap(), BitMap()
        self.keyword, self.ticker, self.person = BitMap(), BitMap(), BitMap()

    def sets_for(self, compiled: CompiledFilter) -> list[BitMap]:
        included = compiled.included
        # A strict filter that lists only accounts or only feeds rejects all items of the other kind of source.
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
    """The filters of all slots, arranged so that `match` evaluates all of them for one item at once. `len` is the
    number of slots, including those whose filter cannot be read.
    """

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
        """Set the filter and the entitlement of a slot, replacing its previous ones."""
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
        """Add a slot whose filter cannot be read, replacing its previous filter. The slot matches no item, and is
        counted under `error` for every item.
        """
        self.remove(slot)
        self._broken.add(slot)

    def remove(self, slot: int) -> None:
        """Remove a slot. Does nothing if the index does not have the slot."""
        self._broken.discard(slot)
        self._set_threshold(slot, self._take_out(slot), _NEVER)
        self._entitled.put(slot, UNRESTRICTED)

    def _take_out(self, slot: int) -> int:
        """Remove a slot's filter from the index and return the filter's threshold. If the slot has no filter, return
        `_NEVER`, a threshold that no item reaches. The caller must then change what remains: the slot's membership in
        `_within`, which has the slots by threshold, and its entitlement.
        """
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
        """Update `_within`, the sets of slots by threshold, for a slot whose threshold changes from `before` to
        `threshold`. If the threshold falls, the slot is added to the sets in between; if it rises, the slot is removed
        from them. At most one of the two loops runs, because the slice of the other is empty.
        """
        for slots in self._within[threshold:before]:
            slots.add(slot)
        for slots in self._within[before:threshold]:
            slots.discard(slot)

    def match(self, item: NewsItem) -> Match:
        """Return which slots match the item and are entitled to see it, and for how many slots each step rejects it."""
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
        """Return for each step how many distinct values occur in the lists of all filters. The lists of `exclude` are
        not counted.
        """
        return self._included.sizes()

    def kinds(self) -> dict[str, int]:
        """Return the number of slots by kind of filter: `filtered` for a filter with conditions, `unfiltered` for a
        filter that equals MATCH_ALL, `broken` for a filter that cannot be read.
        """
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
    # BitMap.union copies the first bitmap and adds the others to the copy. If the first is the largest, this takes half
    # the time.
    return BitMap.union(*sorted((open_slots, *hits), key=len, reverse=True)) if hits else open_slots
