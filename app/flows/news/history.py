"""What the log holds, as a filter sees it. This file owns reading back: a user's own view, a filter's preview."""

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
    """One page of stored items, and how many there are in all."""

    records: list[Record]
    total: int


class Preview(NamedTuple):
    """What a filter would have let through lately: how many of what was looked at, and the newest of them."""

    scanned: int
    matched: int
    rejected: dict[str, int]
    per_hour: float
    samples: list[Record]


class History:
    """Reads the log through filters, at most `scan_items` a call."""

    def __init__(self, log: NewsLog, scan_items: int) -> None:
        self._news_log = log
        self._scan_items = scan_items

    async def item(self, item_id: str, now: float, entitled: Entitlement = UNRESTRICTED) -> Record | None:
        """Give the item of this id, None where there is none for this reader."""
        record = await self._news_log.by_id(item_id)
        if record is None or not _admits(compile_filter(MATCH_ALL, entitled), record, now):
            return None
        return record

    async def page(
        self, query: NewsQuery, now: float, wants: Filter | None = None, entitled: Entitlement = UNRESTRICTED
    ) -> NewsPage:
        """Give a page of stored items; with a filter, or for a reader who may not see everything, of those that are for
        him, counted as far as was looked.
        """
        if wants is None and not entitled.hides_items:
            return NewsPage(await self._news_log.select(query), await self._news_log.count(query))
        wants = MATCH_ALL if wants is None else wants
        criteria = compile_filter(wants, entitled)
        # What SQL can decide it decides; the rest of the filter is asked here.
        narrowed = query._replace(min_impact=max(query.min_impact or 0.0, wants.impact_threshold))
        found = [record async for record in self._scan(narrowed) if _admits(criteria, record, now)]
        return NewsPage(found[query.offset : query.offset + query.limit], len(found))

    async def preview(self, wants: Filter, now: float, hours: float, entitled: Entitlement = UNRESTRICTED) -> Preview:
        """Try a filter on what was published in the last hours, newest first."""
        criteria = compile_filter(wants, entitled)
        verdicts: Counter[Outcome] = Counter()
        samples: list[Record] = []
        async for record in self._scan(NewsQuery(start_time=now - hours * 3600)):
            if not entitled.is_due(record.accepted_at, now):
                continue
            verdict = first_rejection(analyze_item(record.item), criteria) or Outcome.MATCHED
            verdicts[verdict] += 1
            if verdict is Outcome.MATCHED and len(samples) < _SAMPLES:
                samples.append(record)
        matched = verdicts[Outcome.MATCHED]
        rejected = {step.value: verdicts[step] for step in _REJECTIONS}
        return Preview(verdicts.total(), matched, rejected, round(matched / hours, 3), samples)

    async def _scan(self, query: NewsQuery) -> AsyncIterator[Record]:
        """Give what a query selects, newest first, in small pages, so that the loop turns in between."""
        for _ in range(0, self._scan_items, _SCAN_PAGE):
            records = await self._news_log.select(query._replace(limit=_SCAN_PAGE, offset=0))
            for record in records:
                yield record
            if len(records) < _SCAN_PAGE:
                return
            query = _behind(query, records[-1])


def _admits(criteria: CompiledFilter, record: Record, now: float) -> bool:
    is_due = criteria.entitled.is_due(record.accepted_at, now)
    return is_due and first_rejection(analyze_item(record.item), criteria) is None


def _behind(query: NewsQuery, last: Record) -> NewsQuery:
    """Ask for what comes after an item, in the query's own order."""
    if query.after_seq is not None or query.before_seq is not None:
        return query._replace(before_seq=last.seq)
    return query._replace(older_than=(last.item.published_at, last.seq))
