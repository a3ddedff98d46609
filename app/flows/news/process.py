"""Enrich raw items of publishers and feeds, and append them to the log.

Publishers call `publish`, which returns once the items are on disk. Feeds put items into raw_news_queue. While the
queue is full the feeds wait (backpressure), so the queue drops nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from app.core.errors import ErrorCode, NewsError, ServerError
from app.core.limits import PublishLimits
from app.core.news.enrichment import Enricher, Origin
from app.core.news.item import RawNews
from app.ports.clock import Clock
from app.ports.log import Appended, Entry, NewsLog, Record
from app.telemetry.labels import Intake, Rejection
from app.telemetry.stats import Stats

_BATCH_ITEMS = 100
_EMPTY_POLL_S = 0.005
# Enriching an item takes 0.2 ms, and longer if its content is long. So `publish` yields to other tasks after every 16th
# item, and after each item with more than 2,000 characters of content.
_ITEMS_PER_YIELD = 16
_LONG_CONTENT = 2_000
_DRAINING_RETRY_S = 5.0
_OVERLOADED_RETRY_S = 2.0

_log = structlog.get_logger("process")


class IncomingItem(NamedTuple):
    """A raw item in raw_news_queue, and the kind of source that put it there. `origin` is what is known about an entry
    of a feed. `stored` is set to the result when the item is on disk, or to None if it was dropped.
    """

    raw: RawNews
    intake: Intake
    origin: Origin | None = None
    stored: asyncio.Future[Appended | None] | None = None


class NewsProcessor:
    """Enriches items and appends them to the log."""

    def __init__(
        self,
        log: NewsLog,
        raw_news_queue: asyncio.Queue[IncomingItem],
        enricher: Enricher,
        limits: PublishLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._news_log = log
        self._queue = raw_news_queue
        self._enricher = enricher
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._in_progress = 0
        self._taken = 0
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Count the items of feeds that are not in the log yet."""
        return self._queue.qsize() + self._taken

    async def wait_until_empty(self) -> None:
        """Wait until every item that was queued or published is in the log, or was dropped or refused."""
        await self._queue.join()
        while self._in_progress:
            await self._clock.sleep(_EMPTY_POLL_S)

    def close(self) -> None:
        """Refuse items of publishers from now on with ServerError(DRAINING). Items in raw_news_queue are still
        processed.
        """
        self._is_closed = True

    def remember(self, records: Sequence[Record]) -> None:
        """Remember stored items when the server starts, so that near-duplicates of them are found."""
        for record in records:
            self._enricher.remember(record.item)

    async def publish(self, raws: Sequence[RawNews], intake: Intake = Intake.API, trace_id: str = "") -> list[Appended]:
        """Enrich items, store all of them or none, and return one result for each once they are on disk. `trace_id` is
        kept in the records of new items.

        Raises ServerError(DRAINING, OVERLOADED, STORAGE_FULL, INTERNAL); OVERLOADED also if storing takes longer than
        `publishing.timeout_s`.
        """
        if self._is_closed and intake is Intake.API:
            raise ServerError(ErrorCode.DRAINING, retry_after_s=_DRAINING_RETRY_S)
        if self._in_progress + len(raws) > self._limits.max_pending_items:
            self._stats.intake.record_rejected(Rejection.QUEUE_FULL, len(raws))
            raise ServerError(ErrorCode.OVERLOADED, retry_after_s=_OVERLOADED_RETRY_S)
        self._in_progress += len(raws)
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await self._append(await self._enrich_all(raws, trace_id), intake)
        except TimeoutError:
            # The items may be stored all the same. A publisher that sends them again gets the same seqs.
            self._stats.intake.record_rejected(Rejection.STORAGE, len(raws))
            detail = "The items were not stored in time, and may be stored later: send them again"
            raise ServerError(ErrorCode.OVERLOADED, detail, retry_after_s=_OVERLOADED_RETRY_S) from None
        finally:
            self._in_progress -= len(raws)

    async def run(self) -> None:
        """Process what feeds put into the queue, until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _BATCH_ITEMS and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self._taken = len(batch)
            await self._process(batch)
            self._taken = 0
            for _ in batch:
                self._queue.task_done()

    async def _append(self, entries: Sequence[Entry], intake: Intake) -> list[Appended]:
        try:
            results = await self._news_log.append(entries)
        except NewsError:
            self._stats.intake.record_rejected(Rejection.STORAGE, len(entries))
            self._forget(entries)
            raise
        self._forget([entry for entry, result in zip(entries, results, strict=True) if result.id != entry.item.id])
        duplicates = sum(result.is_duplicate for result in results)
        self._stats.intake.record_accepted(intake, len(results) - duplicates)
        self._stats.intake.record_rejected(Rejection.DUPLICATE, duplicates)
        return results

    def _forget(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._enricher.forget(entry.item.id)

    async def _process(self, batch: Sequence[IncomingItem]) -> None:
        for intake in dict.fromkeys(incoming.intake for incoming in batch):
            enriched = [(one, self._enrich_or_drop(one)) for one in batch if one.intake is intake]
            entries = [entry for _, entry in enriched if entry is not None]
            results = iter(await self._append_until_stored(entries, intake))
            for incoming, entry in enriched:
                result = None if entry is None else next(results)
                if incoming.stored is not None and not incoming.stored.done():
                    incoming.stored.set_result(result)

    def _enrich_or_drop(self, incoming: IncomingItem) -> Entry | None:
        raw = incoming.raw
        try:
            return self._enrich(raw, origin=incoming.origin)
        # An item that cannot be enriched must not stop the others: it is dropped, logged and counted.
        except Exception:  # noqa: BLE001
            _log.exception("item_dropped", url=raw.url[:200])
            self._stats.intake.record_rejected(Rejection.INVALID)
            return None

    async def _append_until_stored(self, entries: Sequence[Entry], intake: Intake) -> list[Appended]:
        """Append items of feeds, and try again after every ServerError until they are stored: a feed cannot be asked to
        send an item again.
        """
        while entries:
            try:
                return await self._append(entries, intake)
            except ServerError as error:
                _log.error("intake_waits", items=len(entries), reason=error.code.value, detail=error.detail)
                await self._clock.sleep(error.retry_after_s or 1.0)
        return []

    async def _enrich_all(self, raws: Sequence[RawNews], trace_id: str) -> list[Entry]:
        entries = []
        for number, raw in enumerate(raws, start=1):
            entries.append(self._enrich(raw, trace_id))
            if number % _ITEMS_PER_YIELD == 0 or len(raw.content) > _LONG_CONTENT:
                await asyncio.sleep(0)
        return entries

    def _enrich(self, raw: RawNews, trace_id: str = "", origin: Origin | None = None) -> Entry:
        now = self._clock.wall()
        item, url_key = self._enricher.enrich(raw, now, origin)
        return Entry(item, url_key, now, trace_id)
