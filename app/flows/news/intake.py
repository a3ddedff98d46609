"""The journey of what a feed says: each entry of each fetch is published, or counted with the reason why it is not.

An entry is remembered as seen only when it is on disk. If the server is killed in between, the entry is offered again
after the restart, and the log finds it by its identity.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from app.core.news.enrichment import Origin
from app.core.news.entry_rules import AgeRules, judge_age, known_as, published_of
from app.core.news.feed_entry import EntryOutcome, FeedDocument, FeedEntry
from app.core.news.identity import EntryIdentity, Key, Seen, identify
from app.core.news.item import RawNews, Source
from app.core.news.nitter import Post, is_nitter, read_post
from app.flows.news.process import IncomingItem
from app.ports.clock import Clock
from app.ports.log import Appended, NewsLog
from app.ports.seen import FeedState, SeenStore
from app.telemetry.labels import Intake

# The guids of a feed are distrusted when they have changed in this many fetches in a row.
_CHANGES_UNTIL_DISTRUSTED = 2
# All instances of Nitter show the same posts.
_NITTER = "nitter"
_REFRESHED_S = 86_400.0


class FeedProfile(NamedTuple):
    """What the operator says about a feed: its id, its name ("" stands for the feed's own title), how old its entries
    may be, and its address.
    """

    id: str
    name: str
    ages: AgeRules
    url: str


class Taken(NamedTuple):
    """What became of a document: the number of its entries by outcome, and the state of its feed. `newest_at` is when
    the newest of the published entries was published (Unix seconds), or None if none was.
    """

    outcomes: Counter[EntryOutcome]
    state: FeedState
    newest_at: float | None


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

    async def take(self, feed: FeedProfile, document: FeedDocument) -> Taken:
        """Publish the entries of a document that are news, and wait until they are on disk. Raises ServerError if the
        storage fails; nothing is remembered of the document then, and it can be taken again.
        """
        state = await self._seen.feed(feed.id)
        outcomes = Counter(document.dropped)
        trusts_guids = state is None or state.guid_changes < _CHANGES_UNTIL_DISTRUSTED
        candidates = _candidates(document, feed, outcomes, trusts_guids=trusts_guids)
        known = await self._seen.known({key for one in candidates for key in one.identity.keys})
        changes = _guid_changes(candidates, known) if trusts_guids else 0
        sifted = await self._sift(feed, candidates, known, is_first_look=state is None)
        state = state or FeedState()
        state = msgspec.structs.replace(state, guid_changes=state.guid_changes + changes if changes >= 0 else 0)
        for candidate, appended in await self._publish(feed, document, sifted.new):
            sifted.outcomes[EntryOutcome.MALFORMED if appended is None else _outcome(appended)] += 1
            sifted.versions.update(_versions(candidate))
        now = self._clock.wall()
        if sifted.versions:
            await self._seen.remember(sifted.versions, now)
        newest = max((published_of(one.entry, now).at for one in sifted.new), default=None)
        return Taken(outcomes + sifted.outcomes, state, newest)

    async def _sift(
        self, feed: FeedProfile, candidates: Sequence[_Candidate], known: dict[Key, Seen], *, is_first_look: bool
    ) -> _Sifted:
        """Divide the entries of a document into those that are news and others."""
        now, sifted = self._clock.wall(), _Sifted([], {}, Counter())
        stored = await self._news_log.accepted_links({one.identity.link_key for one in candidates} - {""})
        for candidate in sorted(candidates, key=lambda one: published_of(one.entry, now).at):
            outcome = known_as(candidate.identity, known)
            if outcome is EntryOutcome.REPEATED and not _is_stale(candidate.identity, known, now):
                sifted.outcomes[outcome] += 1
                continue
            if outcome is None and _is_stored(candidate, stored):
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
    document: FeedDocument, feed: FeedProfile, outcomes: Counter[EntryOutcome], *, trusts_guids: bool
) -> list[_Candidate]:
    """Return the entries of a document that may be news, and count the notices among the others."""
    if not is_nitter(document):
        identities = identify(document.entries, feed.id, trusts_guids=trusts_guids)
        return [
            _Candidate(Post(entry), identity, Source.RSS)
            for entry, identity in zip(document.entries, identities, strict=True)
        ]
    posts = [post for entry in document.entries if (post := read_post(entry)) is not None]
    if notices := len(document.entries) - len(posts):
        outcomes[EntryOutcome.NOTICE] += notices
    identities = identify([post.entry for post in posts], _NITTER)
    return [_Candidate(post, identity, Source.NITTER) for post, identity in zip(posts, identities, strict=True)]


def _guid_changes(candidates: Sequence[_Candidate], known: Mapping[Key, Seen]) -> int:
    """Return 1 if the known entries of a document have new guids only, -1 if one has its old guid, and otherwise 0."""
    seen = [one for one in candidates if one.entry.guid and known_as(one.identity, known) is not None]
    if not seen:
        return 0
    return -1 if any(one.identity.deciding[0] in known for one in seen) else 1


def _versions(candidate: _Candidate) -> dict[Key, bytes]:
    return dict.fromkeys(candidate.identity.keys, candidate.identity.version)


def _is_stale(identity: EntryIdentity, known: Mapping[Key, Seen], now: float) -> bool:
    """Return whether it is time to store that an entry is still seen, so that it is not forgotten."""
    return any(now - known[key].at > _REFRESHED_S for key in identity.deciding if key in known)


def _is_stored(candidate: _Candidate, stored: dict[str, float]) -> bool:
    """Return whether the log has the entry from before entries were remembered, or from a publisher: an item with the
    same link, accepted after the entry was published.
    """
    accepted_at = stored.get(candidate.identity.link_key)
    date = candidate.entry.date
    return accepted_at is not None and (date is None or date.seconds <= accepted_at)


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
