"""Poll every feed at its own interval, put its new entries into raw_news_queue, and poll less often after failures."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Iterable

import aiohttp
import structlog

from app.adapters.sources.rss.config import FeedConfig
from app.adapters.sources.rss.fetching import FetchFailed, Validators, fetch
from app.adapters.sources.rss.parsing import ParseFailed, parse
from app.adapters.sources.rss.public_addresses import session_for
from app.core.limits import FeedLimits
from app.core.news.item import RawNews
from app.flows.news.process import IncomingItem
from app.ports.clock import Clock
from app.telemetry.labels import Fetch, Intake
from app.telemetry.stats import Stats

_REMEMBERED_LINKS = 2_000
_MAX_BACKOFF_S = 900.0
# The longest pause that a feed's server can request (Retry-After).
_MAX_REQUESTED_PAUSE_S = 3_600.0
_JITTER = 0.1

_log = structlog.get_logger("rss")


class _PolledFeed:
    """A feed and the state of its polling: the validators for the next fetch, the number of failures in a row, and the
    links of the last _REMEMBERED_LINKS entries that were put into the queue.
    """

    def __init__(self, config: FeedConfig) -> None:
        self.config = config
        self.validators = Validators()
        self.failures = 0
        self.seen: OrderedDict[str, None] = OrderedDict()

    def unseen(self, raws: Iterable[RawNews]) -> list[RawNews]:
        return [raw for raw in raws if raw.url not in self.seen]

    def remember(self, url: str) -> None:
        self.seen[url] = None
        if len(self.seen) > _REMEMBERED_LINKS:
            self.seen.popitem(last=False)


class RssPoller:
    """Polls every feed in a task of its own, and puts new entries into raw_news_queue."""

    def __init__(
        self,
        feeds: Iterable[FeedConfig],
        raw_news_queue: asyncio.Queue[IncomingItem],
        limits: FeedLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._feeds = [_PolledFeed(config) for config in feeds]
        self._replaced = asyncio.Event()
        self._queue = raw_news_queue
        self._limits = limits
        self._clock = clock
        self._stats = stats
        # Held while a feed is parsed, so that only one is parsed at a time: two parsers would slow down each other, and
        # each already slows down the event loop.
        self._parser = asyncio.Lock()

    @property
    def total(self) -> int:
        return len(self._feeds)

    @property
    def active(self) -> int:
        """Return the number of feeds whose last poll succeeded, plus the number of feeds that were never polled."""
        return sum(not feed.failures for feed in self._feeds)

    def replace(self, feeds: Iterable[FeedConfig]) -> None:
        """Poll these feeds from now on. A feed that was polled before with the same configuration keeps its state."""
        polled = {feed.config: feed for feed in self._feeds}
        self._feeds = [polled.get(config) or _PolledFeed(config) for config in feeds]
        self._replaced.set()

    async def run(self) -> None:
        """Poll every feed at its own interval, until cancelled."""
        polling: dict[_PolledFeed, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._replaced.clear()
                for feed in polling.keys() - set(self._feeds):
                    polling.pop(feed).cancel()
                for feed in self._feeds:
                    if feed not in polling:
                        polling[feed] = tasks.create_task(self._run_feed(feed), name=f"feed {feed.config.url}")
                await self._replaced.wait()

    async def _run_feed(self, feed: _PolledFeed) -> None:
        async with session_for(feed.config) as session:
            while True:
                requested_pause_s = await self._poll(session, feed)
                await self._clock.sleep(max(_pause_s(feed), requested_pause_s))

    async def _poll(self, session: aiohttp.ClientSession, feed: _PolledFeed) -> float:
        """Poll a feed once and record the result. Return the pause in seconds that the feed's server asked for, at most
        _MAX_REQUESTED_PAUSE_S; it is 0 if the server asked for none.
        """
        try:
            new_items = await self._fetch_new(session, feed)
        except (FetchFailed, ParseFailed) as error:
            self._record_failure(feed, error)
            return min(getattr(error, "retry_after_s", 0.0), _MAX_REQUESTED_PAUSE_S)
        # An unexpected error in one feed must not end the polling of the other feeds.
        except Exception as error:  # noqa: BLE001
            self._record_failure(feed, error)
        else:
            feed.failures = 0
            self._stats.intake.record_fetch(Fetch.NEW if new_items else Fetch.UNCHANGED)
        return 0.0

    def _record_failure(self, feed: _PolledFeed, error: Exception) -> None:
        feed.failures += 1
        self._stats.intake.record_fetch(Fetch.FAILED)
        kind = type(error).__name__
        _log.warning("feed_failed", url=feed.config.url, failures=feed.failures, kind=kind, error=str(error))

    async def _fetch_new(self, session: aiohttp.ClientSession, feed: _PolledFeed) -> int:
        """Fetch a feed, put its new entries into raw_news_queue, and return their number."""
        fetched = await fetch(session, feed.config.url, feed.validators, self._limits)
        if fetched.body is None:
            return 0
        async with self._parser:
            raws = await asyncio.to_thread(
                parse, fetched.body, feed.config.name, self._clock.wall(), self._limits.max_entries
            )
        unseen = feed.unseen(raws)
        for raw in unseen:
            await self._queue.put(IncomingItem(raw, Intake.RSS))
            feed.remember(raw.url)
        # The validators are stored only after all new entries are in the queue. If the poll is interrupted before that,
        # the next poll fetches the whole feed again.
        feed.validators = fetched.validators
        return len(unseen)


def _pause_s(feed: _PolledFeed) -> float:
    """Return the seconds until the feed's next poll, with a random jitter of 10 % so that feeds are not polled all at
    once.

    Without failures the pause is the feed's interval. Each failure in a row doubles it, up to _MAX_BACKOFF_S. Failures
    do not change an interval that is longer than that.
    """
    every_s = feed.config.every_s
    backoff_s: float = min(every_s * 2 ** min(feed.failures, 10), max(_MAX_BACKOFF_S, every_s))
    return backoff_s * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter, not a secret
