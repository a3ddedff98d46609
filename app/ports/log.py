"""The port to the durable log of items."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from app.core.news.item import NewsItem


class Record(NamedTuple):
    """An item in the log: its place, when it was accepted (Unix seconds), its JSON as every client gets it.

    The trace is known until the process ends; it is not stored.
    """

    seq: int
    accepted_at: float
    item: NewsItem
    item_json: bytes
    trace_id: str = ""


class Appended(NamedTuple):
    """What became of an item that was handed to the log; of a duplicate, the first one's id and seq."""

    id: str
    seq: int
    is_duplicate: bool


class Entry(NamedTuple):
    """An item to append, when it was accepted (Unix seconds), and what makes a second one with its link a duplicate."""

    item: NewsItem
    url_key: str
    accepted_at: float
    trace_id: str = ""


class NewsQuery(NamedTuple):
    """Which stored items to give: every condition that is not None holds. Newest first, by `published_at`, then seq.

    With `after_seq` or `before_seq` the order is by seq, so that pages neither overlap nor skip while news arrives;
    `older_than` goes on in the usual order behind an item's (published_at, seq).
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
    """What the log holds; times in Unix seconds."""

    items: int
    items_since: int
    average_impact: float


class NewsLog(Protocol):
    """The durable, ordered log of items: seq 1, 2, 3 … without gaps, assigned inside the commit by one writer."""

    @property
    def epoch(self) -> str:
        """Name this log; another log has another epoch, and its seqs mean something else."""

    @property
    def head(self) -> int:
        """Give the newest seq, 0 when nothing was ever stored."""

    @property
    def oldest(self) -> int:
        """Give the oldest seq still stored, head + 1 when nothing is."""

    @property
    def oldest_at(self) -> float:
        """Give when the oldest item still stored was accepted (Unix seconds), 0 when nothing is."""

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Store all entries durably or none; return once they are on disk. Raises Ours(STORAGE_FULL)."""

    async def read(self, after: int, limit: int) -> list[Record]:
        """Give up to `limit` items with a seq above `after`, in order."""

    def follow(self, after: int) -> AsyncIterator[Sequence[Record]]:
        """Give every item with a seq above `after`, in order, for ever, as soon as it is durable."""

    async def by_id(self, item_id: str) -> Record | None:
        """Give the item of this id."""

    async def select(self, query: NewsQuery) -> list[Record]:
        """Give one page of stored items."""

    async def count(self, query: NewsQuery) -> int:
        """Count what the query's conditions select, whatever its limit and offset."""

    async def totals(self, since: float) -> NewsTotals:
        """Count the items, and those published since a time."""

    async def prune(self, accepted_before: float, keep_items: int, limit: int) -> int:
        """Drop up to `limit` of the oldest items that are too old or too many; give how many went."""
