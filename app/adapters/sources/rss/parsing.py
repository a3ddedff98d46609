"""Parse a fetched document, well-formed or not, into the entries of a feed.

The caller runs `parse` in another process, because a large or hostile document takes seconds.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from app.adapters.sources.rss.charsets import decode
from app.adapters.sources.rss.entries import RawEntry, read_tree
from app.adapters.sources.rss.json_feed import is_json, read_json
from app.adapters.sources.rss.markup import NotAFeed, is_markup, parse_markup
from app.core.news.feed_entry import EntryOutcome, FeedDocument, FeedEntry
from app.core.news.urls import MAX_URL_LENGTH, canonical, resolve

_MAX_TEXT = 32 * 1024
_MAX_TITLE = 2_048
_MAX_GUID = 1_024
_MAX_TAGS, _LONGEST_TAG = 50, 128


class ParseFailed(Exception):
    """A document cannot be parsed: it is no feed, or not safe to parse. The message says why."""


def parse(body: bytes, url: str, http_charset: str = "", max_entries: int = 2_000) -> FeedDocument:
    """Return the entries of a feed, at most `max_entries`: the first of the document, which are the newest of most
    feeds, or the last if the document begins with its oldest. `url` is the one that the document came from, after all
    redirects. Raises ParseFailed.
    """
    text = decode(body, http_charset)
    if "\0" in text[:1024]:
        raise ParseFailed("not text")
    try:
        feed = read_tree(parse_markup(text)) if is_markup(text) or not is_json(text) else read_json(text)
    except NotAFeed as error:
        raise ParseFailed(str(error)) from None
    # Whatever a library raises about a hostile document means that it cannot be parsed.
    except Exception as error:
        raise ParseFailed(f"{type(error).__name__}: {error}") from error
    site = _first_usable(feed.links, url) or ""
    kept, over_limit = _within(feed.entries, max_entries)
    dropped = Counter({EntryOutcome.MALFORMED: feed.cut, EntryOutcome.OVER_LIMIT: over_limit})
    entries = []
    for raw in kept:
        found = _finished(raw, site, url)
        if isinstance(found, EntryOutcome):
            dropped[found] += 1
        else:
            entries.append(found)
    return FeedDocument(feed.title, site, tuple(entries), dict(+dropped), feed.ttl_s, feed.skip_hours)


def _within(entries: list[RawEntry], limit: int) -> tuple[list[RawEntry], int]:
    dates = [entry.date.seconds for entry in entries if entry.date is not None]
    is_oldest_first = len(dates) > 1 and dates[0] < dates[-1]
    kept = entries[-limit:] if is_oldest_first else entries[:limit]
    return kept, len(entries) - len(kept)


def _finished(raw: RawEntry, site: str, url: str) -> FeedEntry | EntryOutcome:
    """Return an entry with its link resolved, or the outcome of an entry that cannot be news."""
    title, content = raw.title[:_MAX_TITLE], raw.content[:_MAX_TEXT]
    if not (title or content):
        return EntryOutcome.NO_TEXT
    link = _first_usable(raw.links, site or url)
    if link is None and raw.links:
        return EntryOutcome.BAD_LINK
    tags = tuple(islice((tag[:_LONGEST_TAG] for tag in raw.tags if tag), _MAX_TAGS))
    return FeedEntry(raw.guid[:_MAX_GUID], link or "", title, content, raw.date, raw.author, tags)


def _first_usable(links: Iterable[str], base: str) -> str | None:
    """Return the first of some links that can be published, as an absolute URL, or None."""
    for written in links:
        link = resolve(written, base)
        try:
            canonical(link)
        except ValueError:
            continue
        if len(link) <= MAX_URL_LENGTH:
            return link
    return None
