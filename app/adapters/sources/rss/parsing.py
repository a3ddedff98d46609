"""Parse an RSS or Atom document, well-formed or not, into raw items for NewsProcessor.

fastfeedparser parses most feeds. If it fails or finds no entry, feedparser is tried, which is slower and more
forgiving. The caller runs `parse` in a thread: a large feed takes tens of milliseconds, too long for the event loop.
"""

from calendar import timegm
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import fastfeedparser
import feedparser

from app.core.news.item import RawNews, Source
from app.core.news.urls import MAX_URL_LENGTH, canonical

_MAX_MARKUP = 32 * 1024


class ParseFailed(Exception):
    """A document cannot be parsed: neither parser recognizes it as a feed, or it declares XML entities, which are
    refused.
    """


class _ParsedEntry(NamedTuple):
    title: str
    markup: str
    url: str
    published_at: float | None


class _ParsedFeed(NamedTuple):
    title: str
    entries: list[_ParsedEntry]


def parse(body: bytes, name: str, now: float, max_entries: int) -> list[RawNews]:
    """Return the first entries of a feed, at most `max_entries`, as raw items from oldest to newest.

    Entries without a usable link are skipped. The `source_account` of the items is `name`, or the feed's title if
    `name` is empty. `now` (Unix seconds) replaces a date that is missing, in the future or before 1970. Raises
    ParseFailed.
    """
    if b"<!ENTITY" in body.replace(b"\0", b"").upper():
        # Nested entities can expand a kilobyte to a gigabyte, and no real feed needs to declare entities.
        raise ParseFailed("entity declarations are refused")
    feed = _attempt(_parse_fast, body) or _attempt(_parse_forgiving, body)
    if feed is None:
        raise ParseFailed("not a feed")
    usable = [entry for entry in feed.entries[:max_entries] if _is_usable(entry.url)]
    raws = [_raw(entry, name or feed.title, now) for entry in usable]
    # Feeds usually list the newest entry first, but the log is ordered from old to new.
    return sorted(raws, key=lambda raw: raw.published_at)


def _attempt(parser: Callable[[bytes], _ParsedFeed | None], body: bytes) -> _ParsedFeed | None:
    try:
        return parser(body)
    # The errors of the parsers and their libraries have no common base class. Each of them means that the document
    # cannot be parsed, not that the server has a bug.
    except Exception:  # noqa: BLE001
        return None


def _parse_fast(body: bytes) -> _ParsedFeed | None:
    """Parse a document with fastfeedparser. Return None if the document has no entries, so that feedparser is tried
    next.
    """
    feed = fastfeedparser.parse(body)
    entries = [
        _ParsedEntry(
            _text(entry, "title"), _markup(entry), _text(entry, "link"), _iso_seconds(_text(entry, "published"))
        )
        for entry in feed.entries
    ]
    return _ParsedFeed(_text(feed.feed, "title"), entries) if entries else None


def _parse_forgiving(body: bytes) -> _ParsedFeed | None:
    feed = feedparser.parse(body)
    entries = [
        _ParsedEntry(_text(entry, "title"), _markup(entry), _text(entry, "link"), _tuple_seconds(_dates(entry)))
        for entry in feed.entries
    ]
    # feedparser sets `version` if it recognized the document as a feed, even one without entries.
    return _ParsedFeed(_text(feed.feed, "title"), entries) if feed.version else None


def _text(table: Any, key: str) -> str:  # noqa: ANN401 - each parser has dictionaries of its own
    """Return the string under a key without surrounding spaces, or an empty string if the value is not a string. In a
    JSON feed the value may have any type.
    """
    value = table.get(key)
    return value.strip() if isinstance(value, str) else ""


def _markup(entry: Any) -> str:  # noqa: ANN401
    parts = entry.get("content")
    texts = [_text(part, "value") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return next(filter(None, texts), "") or _text(entry, "description") or _text(entry, "summary")


def _dates(entry: Any) -> Iterator[Any]:  # noqa: ANN401
    yield from (entry.get(key) for key in ("published_parsed", "updated_parsed", "created_parsed"))


def _iso_seconds(date: str) -> float | None:
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tuple_seconds(dates: Iterator[Any]) -> float | None:
    parsed = next(filter(None, dates), None)
    return float(timegm(parsed)) if parsed else None


def _is_usable(url: str) -> bool:
    try:
        canonical(url)
    except ValueError:
        return False
    return len(url) <= MAX_URL_LENGTH


def _raw(entry: _ParsedEntry, account: str, now: float) -> RawNews:
    # A missing date, or a wrong one (in the future or before 1970), is replaced by the current time.
    published_at = entry.published_at if entry.published_at is not None and 0 <= entry.published_at <= now else now
    title = entry.title[:_MAX_MARKUP]
    return RawNews(
        source=Source.RSS,
        source_account=account[:_MAX_MARKUP],
        title=title,
        content=entry.markup[:_MAX_MARKUP] or title,
        url=entry.url,
        published_at=published_at,
    )
