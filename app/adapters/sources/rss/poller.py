"""Feeds in their rhythm. This file owns when a feed is looked at, what is new in it, and what a failure leads to."""

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
from app.core.limits import Limits
from app.core.news.item import RawNews
from app.flows.news.process import IncomingItem
from app.ports.clock import Clock
from app.telemetry.labels import Fetch, Intake
from app.telemetry.stats import Stats

_REMEMBERED_LINKS = 2_000
_LONGEST_PAUSE_S = 900.0
# A feed may ask for quiet, but not for ever.
_LONGEST_ASKED_S = 3_600.0
_JITTER = 0.1

_log = structlog.get_logger("feeds")


class _Polled:
    """One feed and what is known of it."""

    def __init__(self, feed: FeedConfig) -> None:
        self.feed = feed
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
    """Looks at every feed for ever, and puts what is new into raw_news_queue."""

    def __init__(
        self,
        feeds: Iterable[FeedConfig],
        raw_news_queue: asyncio.Queue[IncomingItem],
        limits: Limits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._polled = [_Polled(feed) for feed in feeds]
        self._queue = raw_news_queue
        self._limits = limits
        self._clock = clock
        self._stats = stats
        # Two at once would only take turns with each other, and each takes turns with the loop.
        self._parser = asyncio.Lock()

    @property
    def total(self) -> int:
        return len(self._polled)

    @property
    def active(self) -> int:
        """Count the feeds whose last look did not fail."""
        return sum(not polled.failures for polled in self._polled)

    async def run(self) -> None:
        """Poll every feed at its own pace, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for polled in self._polled:
                tasks.create_task(self._poll(polled), name=f"feed {polled.feed.url}")

    async def _poll(self, polled: _Polled) -> None:
        async with session_for(polled.feed) as session:
            await self._poll_in(session, polled)

    async def _poll_in(self, session: aiohttp.ClientSession, polled: _Polled) -> None:
        while True:
            asked_pause_s = 0.0
            try:
                fresh = await self._look(session, polled)
                polled.failures = 0
                self._stats.fetches[Fetch.NEW if fresh else Fetch.UNCHANGED] += 1
            except (FetchFailed, ParseFailed) as error:
                self._fail(polled, error)
                asked_pause_s = min(getattr(error, "retry_after_s", 0.0), _LONGEST_ASKED_S)
            # The edge between one feed and the server: nothing that comes from a feed may end another one's polling.
            except Exception as error:  # noqa: BLE001
                self._fail(polled, error)
            await self._clock.sleep(max(_pause_s(polled), asked_pause_s))

    def _fail(self, polled: _Polled, error: Exception) -> None:
        polled.failures += 1
        self._stats.fetches[Fetch.FAILED] += 1
        kind = type(error).__name__
        _log.warning("feed_failed", url=polled.feed.url, failures=polled.failures, kind=kind, error=str(error))

    async def _look(self, session: aiohttp.ClientSession, polled: _Polled) -> int:
        """Fetch a feed and hand its new entries on; give how many there were."""
        fetched = await fetch(session, polled.feed.url, polled.validators, self._limits)
        if fetched.body is None:
            return 0
        async with self._parser:
            raws = await asyncio.to_thread(
                parse, fetched.body, polled.feed.name, self._clock.wall(), self._limits.feed_entries
            )
        fresh = polled.unseen(raws)
        for raw in fresh:
            await self._queue.put(IncomingItem(raw, Intake.RSS))
            polled.remember(raw.url)
        # Only now: a look that broke off is done again in full.
        polled.validators = fetched.validators
        return len(fresh)


def _pause_s(polled: _Polled) -> float:
    """Give the feed's own pace, stretched after failures, and never quite the same for two feeds."""
    every_s = polled.feed.every_s
    stretched: float = min(every_s * 2 ** min(polled.failures, 10), max(_LONGEST_PAUSE_S, every_s))
    return stretched * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter, not a secret
