"""Implement the port NewsLog in memory."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Sequence

import msgspec

from app.core.text.words import normalize, ticker_key
from app.ports.log import Appended, Entry, NewsQuery, NewsTotals, Record

FOLLOW_ITEMS = 256


class MemoryNewsLog:
    """The log as a list of records. `_dropped` is the number of pruned records, so the first record in the list has the
    seq `_dropped` + 1.
    """

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._records: list[Record] = []
        self._dropped = 0
        self._first: dict[tuple[str, str], Record] = {}
        self._grown = asyncio.Event()

    @property
    def epoch(self) -> str:
        return self._epoch

    @property
    def head(self) -> int:
        return self._dropped + len(self._records)

    @property
    def oldest(self) -> int:
        return self._dropped + 1

    @property
    def oldest_at(self) -> float:
        return self._records[0].accepted_at if self._records else 0.0

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        results = [self._append(entry) for entry in entries]
        self._grown.set()
        return results

    async def read(self, after: int, limit: int) -> list[Record]:
        start = max(after - self._dropped, 0)
        return self._records[start : start + limit]

    async def follow(self, after: int) -> AsyncIterator[Sequence[Record]]:
        while True:
            while self.head <= after:
                self._grown.clear()
                await self._grown.wait()
            records = await self.read(after, FOLLOW_ITEMS)
            after = records[-1].seq
            yield records

    async def by_id(self, item_id: str) -> Record | None:
        return self._first.get(("id", item_id))

    async def accepted_links(self, url_keys: Collection[str]) -> dict[str, float]:
        found = ((key, self._first.get(("url", key))) for key in url_keys)
        return {key: record.accepted_at for key, record in found if record is not None}

    async def select(self, query: NewsQuery) -> list[Record]:
        found = [record for record in self._records if _meets(record, query)]
        by_seq = query.after_seq is not None or query.before_seq is not None
        found.sort(key=lambda record: (0 if by_seq else record.item.published_at, record.seq), reverse=True)
        return found[query.offset : query.offset + query.limit]

    async def count(self, query: NewsQuery) -> int:
        return sum(_meets(record, query) for record in self._records)

    async def totals(self, since: float) -> NewsTotals:
        impacts = [record.item.impact_score for record in self._records]
        recent = sum(record.item.published_at > since for record in self._records)
        return NewsTotals(len(impacts), recent, sum(impacts) / len(impacts) if impacts else 0.0)

    async def prune(self, accepted_before: float, keep_items: int, limit: int) -> int:
        # The newest item is always kept, as in SqliteNewsLog, which needs it to find `head` at the next start.
        end = max(min(limit, len(self._records) - 1), 0)
        too_many = len(self._records) - keep_items
        count = next(
            (n for n in range(end) if n >= too_many and self._records[n].accepted_at >= accepted_before),
            end,
        )
        del self._records[:count]
        self._dropped += count
        self._first = {key: first for key, first in self._first.items() if first.seq > self._dropped}
        return count

    def _append(self, entry: Entry) -> Appended:
        keys = (("id", entry.item.id), ("url", entry.url_key))
        first = next((self._first[key] for key in keys if key in self._first), None)
        if first is not None:
            return Appended(first.item.id, first.seq, is_duplicate=True)
        record = Record(self.head + 1, entry.accepted_at, entry.item, msgspec.json.encode(entry.item), entry.trace_id)
        self._records.append(record)
        self._first.update(dict.fromkeys(keys, record))
        return Appended(entry.item.id, record.seq, is_duplicate=False)


def _meets(record: Record, query: NewsQuery) -> bool:
    item = record.item
    verdicts = (
        query.category in (None, item.category),
        query.min_impact is None or item.impact_score >= query.min_impact,
        query.source in (None, item.source),
        query.ticker is None or ticker_key(query.ticker) in map(ticker_key, item.tickers),
        query.person is None or any(normalize(query.person) in normalize(name) for name in item.people),
        query.start_time is None or item.published_at >= query.start_time,
        query.end_time is None or item.published_at <= query.end_time,
        query.after_seq is None or record.seq > query.after_seq,
        query.before_seq is None or record.seq < query.before_seq,
        query.up_to_seq is None or record.seq <= query.up_to_seq,
        query.older_than is None or (item.published_at, record.seq) < query.older_than,
    )
    return all(verdicts)
