"""What a feed says: its entries, and how it wants to be polled."""

from enum import StrEnum
from typing import NamedTuple

from app.core.news.dates import FeedDate


class EntryOutcome(StrEnum):
    """What became of an entry of a fetched feed. Every entry of every fetch has exactly one outcome.

    `updated` is an entry that is known and has another title or text now. `malformed` is one that cannot be read, or
    that the end of the document cut off. `notice` is one that a Nitter instance sends instead of news.
    """

    PUBLISHED = "published"
    REPEATED = "repeated"
    UPDATED = "updated"
    TOO_OLD = "too_old"
    UNDATED = "undated"
    NO_TEXT = "no_text"
    BAD_LINK = "bad_link"
    MALFORMED = "malformed"
    OVER_LIMIT = "over_limit"
    NOTICE = "notice"


class FeedEntry(NamedTuple):
    """One entry of a feed, as its publisher means it.

    `guid` is "" if the entry has none. `link` is an absolute URL, as the publisher wrote it; "" if the entry has none.
    `title` and `content` are plain text. `author` is who wrote it, which for Nitter is the account. `tags` are the
    feed's own categories.
    """

    guid: str
    link: str
    title: str
    content: str
    date: FeedDate | None = None
    author: str = ""
    tags: tuple[str, ...] = ()


class FeedDocument(NamedTuple):
    """The contents of one fetch of a feed: its title, the address of its site ("" if it names none), and its entries in
    the order of the document.

    `dropped` counts the entries that are not in `entries`, by outcome. `ttl_s` is for how many seconds the feed asks
    not to be polled again; 0 if it does not say. In the hours of `skip_hours` (0 to 23, UTC) it is not to be polled.
    """

    title: str
    site: str
    entries: tuple[FeedEntry, ...]
    dropped: dict[EntryOutcome, int]
    ttl_s: float = 0.0
    skip_hours: frozenset[int] = frozenset()
