"""The port to the durable log of items."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from app.core.news.item import NewsItem


class Record(NamedTuple):
    """An item in the log: its seq, when it was accepted (Unix seconds), and its JSON as every client gets it.

    The trace id is kept until the process ends; it is not stored.
    """

    seq: int
    accepted_at: float
    item: NewsItem
    item_json: bytes
    trace_id: str = ""


class Appended(NamedTuple):
    """What became of an item that was handed to the log. A duplicate has the id and seq of the first one."""

    id: str
    seq: int
    is_duplicate: bool


class Entry(NamedTuple):
    """An item to append, when it was accepted (Unix seconds), and the key that makes a second item a duplicate."""

    item: NewsItem
    url_key: str
    accepted_at: float
    trace_id: str = ""


class NewsQuery(NamedTuple):
    """Which stored items to return: those that meet every condition that is not None.

    The order is newest first, by `published_at` and then seq. With `after_seq` or `before_seq` the order is by seq
    alone, so that pages neither overlap nor skip items while news arrives. `older_than` continues in the usual order
    after an item's (published_at, seq).
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


class NewsTotals(NamedTuple):
    """What the log holds."""

    items: int
    items_since: int
    average_impact: float


class NewsLog(Protocol):
    """The durable, ordered log of items. One writer assigns seq 1, 2, 3 … inside the commit, without gaps."""

    @property
    def epoch(self) -> str:
        """Return the name of this log. A seq of another epoch belongs to another log."""

    @property
    def head(self) -> int:
        """Return the newest seq, 0 if nothing was ever stored."""

    @property
    def oldest(self) -> int:
        """Return the oldest seq still stored, head + 1 if there is none."""

    @property
    def oldest_at(self) -> float:
        """Return when the oldest stored item was accepted (Unix seconds), 0 if there is none."""

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Store all entries or none, and return once they are on disk. Raises ServerError(STORAGE_FULL)."""

    async def read(self, after: int, limit: int) -> list[Record]:
        """Return up to `limit` items with a seq above `after`, in order."""

    def follow(self, after: int) -> AsyncIterator[Sequence[Record]]:
        """Yield every item with a seq above `after`, in order, as soon as it is durable, until cancelled."""

    async def by_id(self, item_id: str) -> Record | None:
        """Return the item with this id."""

    async def select(self, query: NewsQuery) -> list[Record]:
        """Return one page of stored items."""

    async def count(self, query: NewsQuery) -> int:
        """Count the items that meet the query's conditions, whatever its limit and offset."""

    async def totals(self, since: float) -> NewsTotals:
        """Count all items, and those published after a time (Unix seconds)."""

    async def prune(self, accepted_before: float, keep_items: int, limit: int) -> int:
        """Drop up to `limit` of the oldest items, if they are too old or too many. Return how many were dropped."""
