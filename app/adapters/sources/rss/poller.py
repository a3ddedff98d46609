"""Poll every feed at its own interval, hand its documents to the intake, and poll less often after failures."""

import asyncio
import random
from collections.abc import Iterable
from typing import Protocol

import aiohttp
import msgspec
import structlog

from app.adapters.sources.rss.config import FeedConfig
from app.adapters.sources.rss.fetching import Fetched, FetchFailed, Validators, fetch
from app.adapters.sources.rss.host_gates import HostGates
from app.adapters.sources.rss.parsing import ParseFailed
from app.adapters.sources.rss.public_addresses import session_for
from app.core.errors import ServerError
from app.core.limits import FeedLimits
from app.core.news.entry_rules import AgeRules
from app.core.news.feed_entry import EntryOutcome, FeedDocument
from app.core.news.feed_schedule import JITTER, PollingRules, next_poll_s
from app.core.news.nitter import is_nitter
from app.flows.news.intake import FeedIntake, FeedProfile
from app.ports.clock import Clock
from app.ports.seen import FeedState, SeenStore
from app.telemetry.labels import Fetch
from app.telemetry.stats import Stats

# The longest pause that a feed's server can request (Retry-After), and that a document can ask for.
_MAX_PAUSE_S = 3_600.0
# Seconds between the first polls of two feeds.
_START_STEP_S = 0.05
# A feed that does not change is read whole once a day. Otherwise its entries would be forgotten.
_READ_EVERY_S = 86_400.0


class Parser(Protocol):
    """Parses documents, in other processes."""

    async def parse(self, body: bytes, url: str, http_charset: str) -> FeedDocument:
        """Parse a document that came from a URL. Raises ParseFailed."""

    async def close(self) -> None:
        """Stop parsing."""


_log = structlog.get_logger("rss")


class PolledFeed:
    """A feed and the state of its polling. `state` is what is known about it, and `stored` what is in the store of
    that; both are None before its first document. `failures` counts those in a row, and `is_gone` is whether the feed's
    server says that it does not exist any more. `rules` decide about its next poll.
    """

    def __init__(self, config: FeedConfig, started_at: float) -> None:
        self.config = config
        self.profile = FeedProfile(
            config.id or config.url, config.name, AgeRules(config.max_age_s, config.first_look_age_s), config.url
        )
        self.state: FeedState | None = None
        self.stored: FeedState | None = None
        self.failures = 0
        self.is_gone = False
        self.rules = PollingRules(config.every_s)
        # When its last document was read (monotonic seconds); at the start, when the server started.
        self.read_at = started_at

    @property
    def address(self) -> str:
        """Return the address to fetch: where the feed has moved to, or else what is configured."""
        return (self.state.moved_to if self.state is not None else "") or self.config.url


class RssPoller:
    """Polls every feed in a task of its own, and hands what it fetched to the intake."""

    def __init__(
        self,
        feeds: Iterable[FeedConfig],
        intake: FeedIntake,
        seen: SeenStore,
        parser: Parser,
        limits: FeedLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._feeds = [PolledFeed(config, clock.monotonic()) for config in feeds]
        self._replaced = asyncio.Event()
        self._intake = intake
        self._seen = seen
        self._parser = parser
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._gates = HostGates(limits, clock)

    @property
    def total(self) -> int:
        return len(self._feeds)

    @property
    def active(self) -> int:
        """Return the number of feeds whose last poll succeeded, plus the number of feeds that were never polled."""
        return sum(not (feed.failures or feed.is_gone) for feed in self._feeds)

    def replace(self, feeds: Iterable[FeedConfig]) -> None:
        """Poll these feeds from now on. A feed that was polled before with the same configuration keeps its state."""
        polled = {msgspec.json.encode(feed.config): feed for feed in self._feeds}
        now = self._clock.monotonic()
        self._feeds = [polled.get(msgspec.json.encode(config)) or PolledFeed(config, now) for config in feeds]
        self._replaced.set()

    async def run(self) -> None:
        """Poll every feed at its own interval, until cancelled."""
        try:
            await self._run_all()
        finally:
            await self._parser.close()

    async def _run_all(self) -> None:
        polling: dict[PolledFeed, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._replaced.clear()
                for feed in polling.keys() - set(self._feeds):
                    polling.pop(feed).cancel()
                fresh = [feed for feed in self._feeds if feed not in polling]
                for position, feed in enumerate(fresh):
                    run = self._run_feed(feed, position * _START_STEP_S)
                    polling[feed] = tasks.create_task(run, name=f"feed {feed.config.url}")
                await self._replaced.wait()

    async def _run_feed(self, feed: PolledFeed, delay_s: float) -> None:
        if delay_s:
            await self._clock.sleep(delay_s)
        async with session_for(feed.config) as session:
            while not feed.is_gone:
                await self._poll(session, feed)
                jitter = random.uniform(0, JITTER)  # noqa: S311 - not a secret
                await self._clock.sleep(next_poll_s(feed.rules, feed.failures, self._clock.wall(), jitter))

    async def _poll(self, session: aiohttp.ClientSession, feed: PolledFeed) -> None:
        """Poll a feed once and record the result."""
        try:
            outcomes = await self._fetch_new(session, feed)
        except (FetchFailed, ParseFailed, ServerError) as error:
            self._record_failure(feed, error)
        # An unexpected error in one feed must not end the polling of the other feeds.
        except Exception as error:  # noqa: BLE001
            self._record_failure(feed, error)
        else:
            feed.failures = 0
            self._stats.intake.record_fetch(Fetch.NEW if outcomes.get(EntryOutcome.PUBLISHED) else Fetch.UNCHANGED)

    def _record_failure(self, feed: PolledFeed, error: Exception) -> None:
        feed.failures += 1
        feed.is_gone = getattr(error, "is_gone", False)
        if (retry_after_s := min(getattr(error, "retry_after_s", 0.0) or 0.0, _MAX_PAUSE_S)) > 0:
            self._gates.close(feed.address, retry_after_s)
        if feed.failures > 1 and feed.state is not None:
            # The feed may be at its old address again.
            feed.state = msgspec.structs.replace(feed.state, moved_to="")
        self._stats.intake.record_fetch(Fetch.FAILED)
        kind = type(error).__name__
        _log.warning(
            "feed_gone" if feed.is_gone else "feed_failed",
            feed=feed.profile.id,
            url=feed.config.url,
            failures=feed.failures,
            kind=kind,
            error=str(error),
        )

    async def _fetch_new(self, session: aiohttp.ClientSession, feed: PolledFeed) -> dict[EntryOutcome, int]:
        """Fetch a feed, hand what has changed to the intake, and return the number of its entries by outcome. Raises
        FetchFailed, ParseFailed and ServerError.
        """
        if feed.state is None:
            feed.stored = await self._seen.feed(feed.profile.id)
            feed.state = _of_this_address(feed.stored, feed.config.url)
        state = feed.state or FeedState()
        is_due = self._clock.monotonic() - feed.read_at > _READ_EVERY_S
        validators = Validators() if is_due else Validators(state.etag, state.last_modified)
        async with self._gates.passing(feed.config.url):
            fetched = await fetch(
                session, feed.address, validators, self._limits, feed.config.headers_for, self._clock.wall()
            )
        if fetched.body is None:
            return {}
        document = await self._parser.parse(fetched.body, fetched.url, fetched.charset)
        taken = await self._intake.take(feed.profile, document, feed.state)
        self._stats.intake.record_entries(taken.outcomes)
        feed.rules = _polling_rules(feed, fetched, document)
        # The state, with the validators, is stored only after all new entries are on disk. If the poll is interrupted
        # before that, the next poll fetches the whole feed again.
        await self._remember(feed, taken.state, fetched)
        feed.read_at = self._clock.monotonic()
        if taken.outcomes and set(taken.outcomes) == {EntryOutcome.NOTICE}:
            raise ParseFailed("the instance sends a notice instead of posts")
        return taken.outcomes

    async def _remember(self, feed: PolledFeed, state: FeedState, fetched: Fetched) -> None:
        moved_to = fetched.moved_to or state.moved_to
        if moved_to != state.moved_to:
            _log.warning("feed_moved", feed=feed.profile.id, url=feed.config.url, moved_to=moved_to)
        etag, last_modified = fetched.validators
        found = msgspec.structs.replace(
            state, url=feed.config.url, moved_to=moved_to, etag=etag, last_modified=last_modified
        )
        if found != feed.stored:
            await self._seen.save_feed(feed.profile.id, found)
        feed.state = feed.stored = found


def _of_this_address(state: FeedState | None, url: str) -> FeedState | None:
    """Return a feed's state without what was true only of an earlier address of it."""
    if state is None or state.url == url:
        return state
    return FeedState(url=url, guid_changes=state.guid_changes)


def _polling_rules(feed: PolledFeed, fetched: Fetched, document: FeedDocument) -> PollingRules:
    """Return what decides about a feed's next polls, after a document of it."""
    if feed.config.insist:
        return PollingRules(feed.config.every_s)
    # Nitter's ttl is the same whatever the account does.
    ttl_s = 0.0 if is_nitter(document) else document.ttl_s
    return PollingRules(feed.config.every_s, min(max(ttl_s, fetched.max_age_s), _MAX_PAUSE_S), document.skip_hours)
