"""Stored items as a filter sees them: a user's own view of the log, and the preview of a filter."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import CompiledFilter, analyze_item, compile_filter
from app.core.filters.filter import MATCH_ALL, Filter
from app.core.filters.matching import Outcome, first_rejection
from app.ports.log import NewsLog, NewsQuery, Record

_SCAN_PAGE = 100
_SAMPLES = 10
_REJECTIONS = (Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD)


class NewsPage(NamedTuple):
    """One page of stored items, and the number of items on all pages."""

    records: list[Record]
    total: int


class Preview(NamedTuple):
    """What a filter would have matched lately: how many of the scanned items, and the newest of them."""

    scanned: int
    matched: int
    rejected: dict[str, int]
    per_hour: float
    samples: list[Record]


class History:
    """Reads the log through filters; each call scans at most `max_scan_items` items."""

    def __init__(self, log: NewsLog, max_scan_items: int) -> None:
        self._news_log = log
        self._max_scan_items = max_scan_items

    async def item(self, item_id: str, now: float, entitled: Entitlement = UNRESTRICTED) -> Record | None:
        """Return the item with this id, None if there is none that the reader may see."""
        record = await self._news_log.by_id(item_id)
        if record is None or not _matches(compile_filter(MATCH_ALL, entitled), record, now):
            return None
        return record

    async def page(
        self, query: NewsQuery, now: float, wanted: Filter | None = None, entitled: Entitlement = UNRESTRICTED
    ) -> NewsPage:
        """Return a page of stored items.

        With a filter, or for a reader that may not see every item, only matching items are returned, and the total is
        that of the scanned items.
        """
        if wanted is None and not entitled.hides_items:
            return NewsPage(await self._news_log.select(query), await self._news_log.count(query))
        wanted = MATCH_ALL if wanted is None else wanted
        compiled = compile_filter(wanted, entitled)
        # SQL decides what it can; the rest of the filter is evaluated here.
        narrowed = query._replace(min_impact=max(query.min_impact or 0.0, wanted.impact_threshold))
        found = [record async for record in self._scan(narrowed) if _matches(compiled, record, now)]
        return NewsPage(found[query.offset : query.offset + query.limit], len(found))

    async def preview(self, wanted: Filter, now: float, hours: float, entitled: Entitlement = UNRESTRICTED) -> Preview:
        """Try a filter on what was published in the last hours, newest first."""
        compiled = compile_filter(wanted, entitled)
        outcomes: Counter[Outcome] = Counter()
        samples: list[Record] = []
        async for record in self._scan(NewsQuery(start_time=now - hours * 3600)):
            if not entitled.is_due(record.accepted_at, now):
                continue
            outcome = first_rejection(analyze_item(record.item), compiled) or Outcome.MATCHED
            outcomes[outcome] += 1
            if outcome is Outcome.MATCHED and len(samples) < _SAMPLES:
                samples.append(record)
        matched = outcomes[Outcome.MATCHED]
        rejected = {step.value: outcomes[step] for step in _REJECTIONS}
        return Preview(outcomes.total(), matched, rejected, round(matched / hours, 3), samples)

    async def _scan(self, query: NewsQuery) -> AsyncIterator[Record]:
        """Yield what a query selects, newest first, in small pages, so that other tasks run in between."""
        for _ in range(0, self._max_scan_items, _SCAN_PAGE):
            records = await self._news_log.select(query._replace(limit=_SCAN_PAGE, offset=0))
            for record in records:
                yield record
            if len(records) < _SCAN_PAGE:
                return
            query = _after(query, records[-1])


def _matches(compiled: CompiledFilter, record: Record, now: float) -> bool:
    is_due = compiled.entitled.is_due(record.accepted_at, now)
    return is_due and first_rejection(analyze_item(record.item), compiled) is None


def _after(query: NewsQuery, last: Record) -> NewsQuery:
    """Return the query for what follows an item, in the query's own order."""
    if query.after_seq is not None or query.before_seq is not None:
        return query._replace(before_seq=last.seq)
    return query._replace(older_than=(last.item.published_at, last.seq))
