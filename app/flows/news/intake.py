"""The journey of what a feed says: each entry of each fetch is published, or counted with the reason why it is not.

An entry is remembered as seen only when it is on disk. If the server is killed in between, the entry is offered again
after the restart, and the log finds it by its identity.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from app.core.news.enrichment import Origin
from app.core.news.entry_rules import (
    AgeRules,
    count_guid_changes,
    is_forgotten_soon,
    is_item_of,
    judge_age,
    known_as,
    published_of,
    trusts_guids,
)
from app.core.news.feed_entry import EntryOutcome, FeedDocument, FeedEntry
from app.core.news.identity import EntryIdentity, Key, Seen, identify
from app.core.news.item import RawNews, Source
from app.core.news.nitter import Post, is_nitter, read_post
from app.flows.news.process import IncomingItem
from app.ports.clock import Clock
from app.ports.log import Appended, NewsLog
from app.ports.seen import FeedState, SeenStore
from app.telemetry.labels import Intake

# All instances of Nitter show the same posts.
_NITTER = "nitter"


class FeedProfile(NamedTuple):
    """What the operator says about a feed: its id, its name ("" stands for the feed's own title), how old its entries
    may be, and its address.
    """

    id: str
    name: str
    ages: AgeRules
    url: str


class Taken(NamedTuple):
    """What became of a document: the number of its entries by outcome, and the state of its feed."""

    outcomes: Counter[EntryOutcome]
    state: FeedState


class _Candidate(NamedTuple):
    post: Post
    identity: EntryIdentity
    source: Source

    @property
    def entry(self) -> FeedEntry:
        return self.post.entry


class _Sifted(NamedTuple):
    """A document's entries that are news, from old to new. Of the others, the versions by key that are to be
    remembered, and their number by outcome.
    """

    new: list[_Candidate]
    versions: dict[Key, bytes]
    outcomes: Counter[EntryOutcome]


class FeedIntake:
    """Takes the documents of feeds, and puts the entries that are news into raw_news_queue."""

    def __init__(
        self, log: NewsLog, seen: SeenStore, raw_news_queue: asyncio.Queue[IncomingItem], clock: Clock
    ) -> None:
        self._news_log = log
        self._seen = seen
        self._queue = raw_news_queue
        self._clock = clock

    async def take(self, feed: FeedProfile, document: FeedDocument, state: FeedState | None) -> Taken:
        """Publish the entries of a document that are news, and wait until they are on disk. `state` is that of the feed
        before, None if this is the first look at it. Raises ServerError if the storage fails; nothing is remembered of
        the document then, and it can be taken again.
        """
        is_first_look, state = state is None, state or FeedState()
        outcomes = Counter(document.dropped)
        candidates = _candidates(document, feed, outcomes, has_guids=trusts_guids(state.guid_changes))
        known = await self._seen.known({key for one in candidates for key in one.identity.keys})
        changes = count_guid_changes(state.guid_changes, [one.identity for one in candidates], known)
        sifted = await self._sift(feed, candidates, known, is_first_look=is_first_look)
        for candidate, appended in await self._publish(feed, document, sifted.new):
            sifted.outcomes[EntryOutcome.MALFORMED if appended is None else _outcome(appended)] += 1
            sifted.versions.update(_versions(candidate))
        if sifted.versions:
            await self._seen.remember(sifted.versions, self._clock.wall())
        return Taken(outcomes + sifted.outcomes, msgspec.structs.replace(state, guid_changes=changes))

    async def _sift(
        self, feed: FeedProfile, candidates: Sequence[_Candidate], known: dict[Key, Seen], *, is_first_look: bool
    ) -> _Sifted:
        """Divide the entries of a document into those that are news and others."""
        now, sifted = self._clock.wall(), _Sifted([], {}, Counter())
        stored = await self._news_log.accepted_links({one.identity.link_key for one in candidates} - {""})
        for candidate in sorted(candidates, key=lambda one: published_of(one.entry, now).at):
            outcome = known_as(candidate.identity, known)
            if outcome is EntryOutcome.REPEATED and not is_forgotten_soon(candidate.identity, known, now):
                sifted.outcomes[outcome] += 1
                continue
            accepted_at = stored.get(candidate.identity.link_key)
            # The log may have the entry from before entries were remembered, or from a publisher.
            if outcome is None and accepted_at is not None and is_item_of(candidate.entry, accepted_at):
                outcome = EntryOutcome.REPEATED
            outcome = outcome or judge_age(candidate.entry, feed.ages, now, is_first_look=is_first_look)
            # What one document shows twice is one entry.
            known.update({key: Seen(version, now) for key, version in _versions(candidate).items()})
            if outcome is EntryOutcome.PUBLISHED:
                sifted.new.append(candidate)
            else:
                sifted.outcomes[outcome] += 1
                sifted.versions.update(_versions(candidate))
        return sifted

    async def _publish(
        self, feed: FeedProfile, document: FeedDocument, new: Sequence[_Candidate]
    ) -> list[tuple[_Candidate, Appended | None]]:
        loop = asyncio.get_running_loop()
        results: list[asyncio.Future[Appended | None]] = []
        for candidate in new:
            results.append(loop.create_future())
            raw, origin = _raw(candidate, feed, document, self._clock.wall())
            await self._queue.put(IncomingItem(raw, Intake.RSS, origin, results[-1]))
        return [(candidate, await result) for candidate, result in zip(new, results, strict=True)]


def _candidates(
    document: FeedDocument, feed: FeedProfile, outcomes: Counter[EntryOutcome], *, has_guids: bool
) -> list[_Candidate]:
    """Return the entries of a document that may be news, and count the notices among the others."""
    if not is_nitter(document):
        identities = identify(document.entries, feed.id, trusts_guids=has_guids)
        return [
            _Candidate(Post(entry), identity, Source.RSS)
            for entry, identity in zip(document.entries, identities, strict=True)
        ]
    posts = [post for entry in document.entries if (post := read_post(entry)) is not None]
    if notices := len(document.entries) - len(posts):
        outcomes[EntryOutcome.NOTICE] += notices
    identities = identify([post.entry for post in posts], _NITTER)
    return [_Candidate(post, identity, Source.NITTER) for post, identity in zip(posts, identities, strict=True)]


def _versions(candidate: _Candidate) -> dict[Key, bytes]:
    return dict.fromkeys(candidate.identity.keys, candidate.identity.version)


def _outcome(appended: Appended) -> EntryOutcome:
    return EntryOutcome.REPEATED if appended.is_duplicate else EntryOutcome.PUBLISHED


def _raw(candidate: _Candidate, feed: FeedProfile, document: FeedDocument, now: float) -> tuple[RawNews, Origin]:
    entry, published = candidate.entry, published_of(candidate.entry, now)
    is_nitter = candidate.source is Source.NITTER
    raw = RawNews(
        source=candidate.source,
        source_account=entry.author if is_nitter else feed.name or document.title,
        title=None if is_nitter and entry.title == entry.content else entry.title,
        content=entry.content or entry.title,
        url=entry.link or document.site or feed.url,
        published_at=published.at,
    )
    name = candidate.identity.name
    return raw, Origin(name, published.is_estimated, entry.tags, candidate.post.retweeted_by)
