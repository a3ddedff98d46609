"""Which slots may see an item. This file owns the tables of what tokens keep from their bearers.

Most tokens keep nothing from anybody, and then nothing here costs anything.
"""

from collections.abc import Iterable

from pyroaring import BitMap

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import AnalyzedItem
from app.core.news.item import Source
from app.core.text.term_index import IndexTable, PostingLists, TermIndex


class EntitledSlots:
    """The slots that a token keeps something from, and which of them may see a category or a source all the same."""

    def __init__(self) -> None:
        self._slots: dict[int, Entitlement] = {}
        self._by_category, self._by_source = BitMap(), BitMap()
        self._categories: PostingLists[str] = PostingLists()
        self._kinds: PostingLists[str] = PostingLists()
        self._handles: PostingLists[str] = PostingLists()
        self._feeds = TermIndex()

    def put(self, slot: int, entitled: Entitlement) -> None:
        """Remember what a slot may see, in place of what it might before; ALL forgets it."""
        if slot in self._slots:
            self._take_out(slot, self._slots.pop(slot))
        if entitled.categories is not None:
            self._by_category.add(slot)
        if entitled.sources is not None:
            self._by_source.add(slot)
        if entitled != UNRESTRICTED:
            self._slots[slot] = entitled
            for table, entries in self._tables(entitled):
                for entry in entries:
                    table.add(entry, slot)

    def allow_category(self, slots: BitMap, reading: AnalyzedItem) -> BitMap:
        """Give those of some slots that may see the item's category."""
        if not self._by_category:
            return slots
        return slots - self._by_category.difference(*self._categories.lookup((reading.category,)))

    def allow_source(self, slots: BitMap, reading: AnalyzedItem) -> BitMap:
        """Give those of some slots that may see the item's source."""
        if not self._by_source:
            return slots
        is_nitter = reading.source is Source.NITTER
        named = self._handles.lookup((reading.handle,)) if is_nitter else self._feeds.lookup(reading.feed)
        return slots - self._by_source.difference(*self._kinds.lookup((reading.source,)), *named)

    def _take_out(self, slot: int, entitled: Entitlement) -> None:
        self._by_category.discard(slot)
        self._by_source.discard(slot)
        for table, entries in self._tables(entitled):
            for entry in entries:
                table.discard(entry, slot)

    def _tables(self, entitled: Entitlement) -> Iterable[tuple[IndexTable, Iterable[object]]]:
        kinds, handles, feeds = entitled.sources or ((), (), ())
        return (
            (self._categories, entitled.categories or ()),
            (self._kinds, kinds),
            (self._handles, handles),
            (self._feeds, feeds),
        )
