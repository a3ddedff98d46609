"""Find the slots that are entitled to see an item.

A slot stands for one channel of one connection, and its entitlement comes from the access token of that connection.
Most entitlements restrict nothing. Slots with such an entitlement are not stored here, and the check costs nothing for
them.
"""

from collections.abc import Iterable

from pyroaring import BitMap

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import AnalyzedItem
from app.core.news.item import Source
from app.core.text.postings import PostingLists
from app.core.text.term_index import IndexTable, TermIndex


class EntitledSlots:
    """The slots with a restricted entitlement, indexed by the categories and sources that they may see."""

    def __init__(self) -> None:
        self._slots: dict[int, Entitlement] = {}
        self._by_category, self._by_source = BitMap(), BitMap()
        self._categories: PostingLists[str] = PostingLists()
        self._kinds: PostingLists[str] = PostingLists()
        self._handles: PostingLists[str] = PostingLists()
        self._feeds = TermIndex()

    def put(self, slot: int, entitled: Entitlement) -> None:
        """Set what a slot may see, replacing its previous entitlement. UNRESTRICTED removes the slot."""
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

    def allow_category(self, slots: BitMap, analyzed: AnalyzedItem) -> BitMap:
        """Return those of `slots` that may see the item's category."""
        if not self._by_category:
            return slots
        return slots - self._by_category.difference(*self._categories.lookup((analyzed.category,)))

    def allow_source(self, slots: BitMap, analyzed: AnalyzedItem) -> BitMap:
        """Return those of `slots` that may see the item's source."""
        if not self._by_source:
            return slots
        is_nitter = analyzed.source is Source.NITTER
        named = self._handles.lookup((analyzed.handle,)) if is_nitter else self._feeds.lookup(analyzed.feed)
        return slots - self._by_source.difference(*self._kinds.lookup((analyzed.source,)), *named)

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
