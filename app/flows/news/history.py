"""Read stored items through a filter and an entitlement: single items, pages, and the preview of a filter."""

from collections import Counter
from collections.abc import AsyncIterator
from itertools import accumulate
from typing import NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import CompiledFilter, analyze_item, compile_filter
from app.core.filters.filter import MATCH_ALL, Filter
from app.core.filters.matching import Outcome, first_rejection, may_see
from app.core.limits import HistoryLimits
from app.flows.time_slices import TimeSlices
from app.flows.visibility import as_shown, is_shown
from app.ports.log import NewsLog, NewsQuery, NewsTotals, Record

_SCAN_PAGE = 100
_SAMPLES = 10
_REJECTIONS = (Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD)


class NewsPage(NamedTuple):
    """One page of stored items. `total` is the number of items on all pages, and `remaining` the number of those on
    this page, on the later ones, and in the offset.
    """

    records: list[Record]
    total: int
    remaining: int


class Preview(NamedTuple):
    """The result of trying a filter on recent items.

    `scanned` counts the items that were evaluated, `matched` those that matched, and `rejected` the others by the first
    step of the filter that rejected them. `per_hour` is `matched` divided by the number of hours that were asked for.
    `samples` holds the newest matching items, at most 10.
    """

    scanned: int
    matched: int
    rejected: dict[str, int]
    per_hour: float
    samples: list[Record]


class History:
    """Reads stored items for a user. A call that evaluates a filter reads at most `max_scan_items` items, rounded up to
    whole pages of 100.
    """

    def __init__(self, log: NewsLog, slices: TimeSlices, limits: HistoryLimits) -> None:
        self._news_log = log
        self._slices = slices
        self._limits = limits

    async def item(self, item_id: str, now: float, entitled: Entitlement = UNRESTRICTED) -> Record | None:
        """Return the item with this id. Return None if it is not stored, or if `entitled` hides it at `now` (Unix
        seconds).
        """
        record = await self._news_log.by_id(item_id)
        if record is None or not is_shown(record, entitled, now):
            return None
        return as_shown(record, entitled)

    async def page(
        self, query: NewsQuery, now: float, wanted: Filter | None = None, entitled: Entitlement = UNRESTRICTED
    ) -> NewsPage:
        """Return one page of the stored items that the query selects. A query with `up_to_seq` and `before_seq` is that
        of a later page, which starts before `before_seq`.

        If there is a filter, or if the entitlement hides items, only the newest `max_scan_items` of the selected items
        are evaluated. The page and its total then contain only those that match.
        """
        if wanted is None and not entitled.hides_items:
            remaining = await self._news_log.count(query)
            whole = _whole_list(query)
            total = remaining if whole == query else await self._news_log.count(whole)
            return NewsPage(await self._select(query), total, remaining)
        wanted = MATCH_ALL if wanted is None else wanted
        compiled = compile_filter(wanted, entitled)
        # SQL evaluates the query and the impact threshold; the rest of the filter is evaluated here.
        narrowed = _whole_list(query)._replace(min_impact=max(query.min_impact or 0.0, wanted.impact_threshold))
        found: list[Record] = []
        total = held_bytes = remaining = 0
        async for record in self._scan(narrowed):
            if not _matches(compiled, record, now):
                continue
            total += 1
            if query.before_seq is not None and record.seq >= query.before_seq:
                continue
            is_on_page = query.offset <= remaining < query.offset + query.limit
            remaining += 1
            if is_on_page and held_bytes <= self._limits.max_page_bytes:
                found.append(as_shown(record, entitled))
                held_bytes += len(record.item_json)
        return NewsPage(self._within_bytes(found), total, remaining)

    async def totals(self, since: float, now: float, entitled: Entitlement) -> NewsTotals:
        """Return totals over the stored items; `items_since` counts those published after `since` (Unix seconds). If
        `entitled` hides items, only the newest `max_scan_items` are looked at, and only those that it shows at `now`
        are counted.
        """
        if not entitled.hides_items:
            return await self._news_log.totals(since)
        shown = [record.item async for record in self._scan(NewsQuery()) if is_shown(record, entitled, now)]
        recent = sum(item.published_at > since for item in shown)
        average = sum(item.impact_score for item in shown) / len(shown) if shown else 0.0
        return NewsTotals(len(shown), recent, average)

    async def _select(self, query: NewsQuery) -> list[Record]:
        """Return the items of a page, read in parts of 100, so that no more bytes are held than the page may have."""
        found: list[Record] = []
        rest = query
        while len(found) < query.limit:
            part = await self._news_log.select(rest._replace(limit=min(_SCAN_PAGE, query.limit - len(found))))
            found += part
            if len(part) < _SCAN_PAGE or len(self._within_bytes(found)) < len(found):
                break
            rest = _after(query, part[-1])._replace(offset=0)
        return self._within_bytes(found)

    def _within_bytes(self, records: list[Record]) -> list[Record]:
        """Return the first records that together have at most `max_page_bytes`, but at least one."""
        sizes = accumulate(len(record.item_json) for record in records)
        count = sum(size <= self._limits.max_page_bytes for size in sizes)
        return records[: max(count, 1)]

    async def preview(self, wanted: Filter, now: float, hours: float, entitled: Entitlement = UNRESTRICTED) -> Preview:
        """Evaluate a filter on the items that were published in the last `hours` hours, at most the newest
        `max_scan_items` of them, and return the result.

        Items that `entitled` hides, or still delays at `now` (Unix seconds), are not counted.
        """
        compiled = compile_filter(wanted, entitled)
        outcomes: Counter[Outcome] = Counter()
        samples: list[Record] = []
        async for record in self._scan(NewsQuery(start_time=now - hours * 3600)):
            analyzed = analyze_item(record.item)
            # What the user may not see must not show in the counts either.
            if not (entitled.is_due(record.accepted_at, now) and may_see(analyzed, entitled)):
                continue
            outcome = first_rejection(analyzed, compiled) or Outcome.MATCHED
            outcomes[outcome] += 1
            if outcome is Outcome.MATCHED and len(samples) < _SAMPLES:
                samples.append(as_shown(record, entitled))
        matched = outcomes[Outcome.MATCHED]
        rejected = {step.value: outcomes[step] for step in _REJECTIONS}
        return Preview(outcomes.total(), matched, rejected, round(matched / hours, 3), samples)

    async def _scan(self, query: NewsQuery) -> AsyncIterator[Record]:
        """Yield up to `max_scan_items` items that a query selects, newest first. They are read in pages of 100, and
        handed out in time slices: the caller must not wait for anything else in between.
        """
        for _ in range(0, self._limits.max_scan_items, _SCAN_PAGE):
            records = await self._news_log.select(query._replace(limit=_SCAN_PAGE, offset=0))
            async with self._slices.share() as time_slice:
                for record in records:
                    yield record
                    await time_slice.renew_if_over()
            if len(records) < _SCAN_PAGE:
                return
            query = _after(query, records[-1])


def _matches(compiled: CompiledFilter, record: Record, now: float) -> bool:
    is_due = compiled.entitled.is_due(record.accepted_at, now)
    return is_due and first_rejection(analyze_item(record.item), compiled) is None


def _whole_list(query: NewsQuery) -> NewsQuery:
    """Return the query for all pages of a list, of which `query` is for one."""
    if query.up_to_seq is None or query.before_seq is None:
        return query
    # Not None, because that would change the order.
    return query._replace(before_seq=query.up_to_seq + 1)


def _after(query: NewsQuery, last: Record) -> NewsQuery:
    """Return the query for the next page: the items that follow `last` in the query's own order."""
    if query.after_seq is not None or query.before_seq is not None:
        return query._replace(before_seq=last.seq)
    return query._replace(older_than=(last.item.published_at, last.seq))
