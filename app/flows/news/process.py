"""From what a source hands in to a complete item in the log. This file owns that journey and the queue before it.

Publishers call `publish` and wait for the disk; feeds put into raw_news_queue, whose policy is back-pressure: when it
is full they wait, nothing is dropped.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from app.core.errors import ErrorCode, NewsError, ServerError
from app.core.limits import Limits
from app.core.news import entities, scoring, urls
from app.core.news.entities import CategoryRule, EntryKind, Vocabulary
from app.core.news.item import HIGH_SIGNAL_ABOVE, MAX_CONTENT, MAX_TITLE, NewsItem, RawNews
from app.core.news.near_duplicates import NearDuplicateIndex
from app.core.text.words import tokenize
from app.ports.clock import Clock
from app.ports.log import Appended, Entry, NewsLog, Record
from app.telemetry.labels import Intake, Rejection
from app.telemetry.stats import Stats

_BATCH_ITEMS = 100
_IN_HAND_S = 0.005
# Completing takes a fifth of a millisecond, and more for a long content: the loop must turn in between.
_YIELD_EVERY = 16
_LONG_CONTENT = 2_000
_MAX_ACCOUNT = 256
_TITLE_FROM_CONTENT = 120

_log = structlog.get_logger("process")


class IncomingItem(NamedTuple):
    """An item on its way in, and which way."""

    raw: RawNews
    intake: Intake


class Vocabularies(NamedTuple):
    """The vocabularies that items are read with."""

    vocabulary: Vocabulary
    sources: Vocabulary
    category_rule: CategoryRule


class NewsProcessor:
    """Completes items and appends them to the log."""

    def __init__(
        self,
        log: NewsLog,
        raw_news_queue: asyncio.Queue[IncomingItem],
        tables: Vocabularies,
        to_text: Callable[[str], str],
        limits: Limits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._news_log = log
        self._queue = raw_news_queue
        self._tables = tables
        self._to_text = to_text
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._recent = NearDuplicateIndex()
        self._in_hand = 0
        self._taken = 0
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Count the items of feeds that are not in the log yet."""
        return self._queue.qsize() + self._taken

    async def wait_until_empty(self) -> None:
        """Wait until everything that was handed in is in the log, or refused."""
        await self._queue.join()
        while self._in_hand:
            await self._clock.sleep(_IN_HAND_S)

    def close(self) -> None:
        """Take nothing new from publishers; what is in raw_news_queue is still processed."""
        self._is_closed = True

    def remember(self, records: Sequence[Record]) -> None:
        """Know the stories of earlier items again after a start."""
        for record in records:
            item = record.item
            self._recent.find_or_add(item.id, tokenize(item.title), tokenize(item.content), item.published_at)

    async def publish(self, raws: Sequence[RawNews], intake: Intake = Intake.API, trace_id: str = "") -> list[Appended]:
        """Complete items and return once they are durable, all or none; the trace goes along as far as the sockets.

        Raises Ours(DRAINING, OVERLOADED, STORAGE_FULL, INTERNAL).
        """
        if self._is_closed and intake is Intake.API:
            raise ServerError(ErrorCode.DRAINING, retry_after_s=5)
        if self._in_hand + len(raws) > self._limits.intake_items:
            self._stats.rejected[Rejection.QUEUE_FULL] += len(raws)
            raise ServerError(ErrorCode.OVERLOADED, retry_after_s=2)
        self._in_hand += len(raws)
        try:
            return await self._append(await self._complete_all(raws, trace_id), intake)
        finally:
            self._in_hand -= len(raws)

    async def _append(self, entries: Sequence[Entry], intake: Intake) -> list[Appended]:
        try:
            results = await self._news_log.append(entries)
        except NewsError:
            self._stats.rejected[Rejection.STORAGE] += len(entries)
            self._forget(entries)
            raise
        self._forget([entry for entry, result in zip(entries, results, strict=True) if result.id != entry.item.id])
        repeated = sum(result.is_duplicate for result in results)
        self._stats.accepted[intake] += len(results) - repeated
        self._stats.rejected[Rejection.DUPLICATE] += repeated
        return results

    def _forget(self, entries: Sequence[Entry]) -> None:
        """Take back what did not come to be, so that no item is ever the duplicate of one that nobody can read."""
        for entry in entries:
            self._recent.remove(entry.item.id)

    async def run(self) -> None:
        """Process what feeds put into the queue, for ever."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _BATCH_ITEMS and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self._taken = len(batch)
            await self._process(batch)
            self._taken = 0
            for _ in batch:
                self._queue.task_done()

    async def _process(self, batch: Sequence[IncomingItem]) -> None:
        for intake in {arrival.intake for arrival in batch}:
            entries = [self._complete_or_drop(arrival.raw) for arrival in batch if arrival.intake is intake]
            await self._append_until_stored([entry for entry in entries if entry is not None], intake)

    def _complete_or_drop(self, raw: RawNews) -> Entry | None:
        try:
            return self._complete(raw)
        # The edge between one item from outside and all others: it is dropped, said and counted.
        except Exception:  # noqa: BLE001
            _log.exception("item_dropped", url=raw.url[:200])
            self._stats.rejected[Rejection.INVALID] += 1
            return None

    async def _append_until_stored(self, entries: Sequence[Entry], intake: Intake) -> None:
        """Feeds cannot be asked to send again: keep their items and wait until there is room."""
        while entries:
            try:
                await self._append(entries, intake)
                return
            except ServerError as error:
                _log.error("intake_waits", items=len(entries), reason=error.code.value, detail=error.detail)
                await self._clock.sleep(error.retry_after_s or 1.0)

    async def _complete_all(self, raws: Sequence[RawNews], trace_id: str) -> list[Entry]:
        entries = []
        for number, raw in enumerate(raws, start=1):
            entries.append(self._complete(raw)._replace(trace_id=trace_id))
            if number % _YIELD_EVERY == 0 or len(raw.content) > _LONG_CONTENT:
                await asyncio.sleep(0)
        return entries

    def _complete(self, raw: RawNews) -> Entry:
        now = self._clock.wall()
        url_key = urls.canonical(raw.url)
        item_id = raw.id or urls.item_id(raw.source, url_key)
        content = self._to_text(raw.content)[:MAX_CONTENT] or raw.url
        title = self._to_text(raw.title or "")[:MAX_TITLE] or _headline(content)
        title_text, content_text = tokenize(title), tokenize(content)
        account = self._to_text(raw.source_account or "")[:_MAX_ACCOUNT]
        findings = entities.find_entities(self._tables.vocabulary, title_text, content_text)
        tickers = entities.find_tickers(findings, title, content) if raw.tickers is None else raw.tickers
        category = raw.category or entities.choose_category(findings, self._tables.category_rule)
        authority = max((sense.points for sense in self._tables.sources.entries(tokenize(account))), default=0.0)
        scores = scoring.score(findings, tickers, category, authority, max(now - raw.published_at, 0.0))
        impact = scores.impact if raw.impact_score is None else raw.impact_score
        original = self._recent.find_or_add(item_id, title_text, content_text, raw.published_at)
        item = NewsItem(
            id=item_id,
            source=raw.source,
            source_account=account,
            title=title,
            content=content,
            url=raw.url,
            published_at=raw.published_at,
            impact_score=impact,
            relevance_score=scores.relevance if raw.relevance_score is None else raw.relevance_score,
            tickers=tickers,
            people=findings.labels(EntryKind.PERSON) if raw.people is None else raw.people,
            prediction_markets=raw.prediction_markets or (),
            category=category,
            tags=findings.labels(EntryKind.TAG) if raw.tags is None else raw.tags,
            is_duplicate=original is not None,
            duplicate_of=original,
            is_high_signal=impact > HIGH_SIGNAL_ABOVE,
        )
        return Entry(item, url_key, now)


def _headline(content: str) -> str:
    """Make a title of a content that has none: its first line, cut at a word."""
    line = content.split("\n", 1)[0]
    if len(line) <= _TITLE_FROM_CONTENT:
        return line
    return line[:_TITLE_FROM_CONTENT].rsplit(" ", 1)[0] + "…"
