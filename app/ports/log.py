"""The port to the durable log of items."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import NamedTuple, Protocol

from app.core.news.item import NewsItem


class Record(NamedTuple):
    """An item in the log: its seq, when it was accepted (Unix seconds), and its JSON exactly as every client gets it.

    `trace_id` identifies the request that published the item, if there was one. It is kept in memory only, and is ""
    for a record that was read from disk.
    """

    seq: int
    accepted_at: float
    item: NewsItem
    item_json: bytes
    trace_id: str = ""


class Appended(NamedTuple):
    """The result of appending one item. For a duplicate, `id` and `seq` are those of the item that was stored first."""

    id: str
    seq: int
    is_duplicate: bool


class Entry(NamedTuple):
    """An item to append, and when it was accepted (Unix seconds).

    `url_key` identifies the item beside its id: it is the canonical form of the item's link, or what identifies an
    entry of a feed (core/news/identity). The item is a duplicate if an earlier item that is still stored has the same
    id or the same `url_key`.
    """

    item: NewsItem
    url_key: str
    accepted_at: float
    trace_id: str = ""


class NewsQuery(NamedTuple):
    """A query for one page of stored items. An item must meet every condition that is not None.

    `min_impact`, `start_time` and `end_time` are inclusive; the times are Unix seconds and are compared with
    `published_at`. `after_seq` and `before_seq` are exclusive.

    Items are sorted newest first, by `published_at` and then seq. With `after_seq` or `before_seq` the newest item is
    the one with the highest seq, so that pages neither overlap nor skip items while news arrives. `older_than` is the
    (published_at, seq) of an item; the page then starts with the next older item, by `published_at` and then seq.
    `up_to_seq` is inclusive and does not change the order: it is the newest item when the first page was read.
    """

    limit: int = 50
    offset: int = 0
    category: str | None = None
    min_impact: float | None = None
    source: str | None = None
    ticker: str | None = None
    person: str | None = None
    start_time: float | None = None
    end_time: float | None = None
    after_seq: int | None = None
    before_seq: int | None = None
    older_than: tuple[float, int] | None = None
    up_to_seq: int | None = None


class NewsTotals(NamedTuple):
    """Totals over the log: the number of items, the number of those published after a given time, and the mean impact
    score.

    The mean is 0 if the log is empty.
    """

    items: int
    items_since: int
    average_impact: float


class NewsLog(Protocol):
    """The durable, ordered log of items. A single writer numbers the items 1, 2, 3 … without gaps, inside the
    transaction that stores them. This number is the seq.

    Methods that need the disk raise ServerError if it fails. `select`, `count` and `totals` also raise
    ServerError(OVERLOADED) if a search takes too long or too many searches wait.
    """

    @property
    def epoch(self) -> str:
        """Return the identity of this log. A seq of another epoch belongs to another log."""

    @property
    def head(self) -> int:
        """Return the seq of the newest item, or 0 if no item was ever stored."""

    @property
    def oldest(self) -> int:
        """Return the seq of the oldest stored item, or `head` + 1 if no item is stored."""

    @property
    def oldest_at(self) -> float:
        """Return when the oldest stored item was accepted (Unix seconds), or 0 if no item is stored."""

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Store the entries that are not duplicates, all or none of them, and return one result for each entry when
        they are on disk. Raises ServerError(STORAGE_FULL).
        """

    async def read(self, after: int, limit: int) -> list[Record]:
        """Return up to `limit` items with a seq above `after`, in order."""

    def follow(self, after: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the items with a seq above `after`, in order and in batches, as soon as they are durable, until
        cancelled.
        """

    async def by_id(self, item_id: str) -> Record | None:
        """Return the item with this id, or None."""

    async def accepted_links(self, url_keys: Collection[str]) -> dict[str, float]:
        """Return those `url_key`s of entries that are stored, and when each was accepted (Unix seconds)."""

    async def select(self, query: NewsQuery) -> list[Record]:
        """Return the page of stored items that a query describes."""

    async def count(self, query: NewsQuery) -> int:
        """Return the number of items that meet the query's conditions; its limit and offset are ignored."""

    async def totals(self, since: float) -> NewsTotals:
        """Return totals over all items; `items_since` counts those published after `since` (Unix seconds)."""

    async def prune(self, accepted_before: float, keep_items: int, limit: int) -> int:
        """Delete up to `limit` of the oldest items and return how many were deleted.

        An item is deleted if it was accepted before `accepted_before` (Unix seconds), or if at least `keep_items` items
        are newer. Deletion goes from old to new and stops at the first item to which neither applies. The newest item
        is never deleted.
        """
