"""Bytes to raw items. This file owns how RSS and Atom, well-formed or not, become what NewsProcessor takes.

fastfeedparser does most feeds; feedparser, slower and more forgiving, does what it finds nothing in. Both run in a
thread: a large feed takes tens of milliseconds, which the event loop does not have.
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
    """A document is no feed that either parser understands, or one that must not be parsed."""


class _ParsedEntry(NamedTuple):
    title: str
    markup: str
    url: str
    published_at: float | None


class _ParsedFeed(NamedTuple):
    title: str
    entries: list[_ParsedEntry]


def parse(body: bytes, name: str, now: float, most_entries: int) -> list[RawNews]:
    """Read a feed, oldest entry first; an entry without a usable link is left out. Raises ParseFailed."""
    if b"<!ENTITY" in body.replace(b"\0", b"").upper():
        # Entities are how a kilobyte becomes a gigabyte; no real feed needs to declare any.
        raise ParseFailed("entity declarations are refused")
    feed = _attempt(_parse_fast, body) or _attempt(_parse_forgiving, body)
    if feed is None:
        raise ParseFailed("not a feed")
    usable = [entry for entry in feed.entries[:most_entries] if _is_usable(entry.url)]
    raws = [_raw(entry, name or feed.title, now) for entry in usable]
    # Feeds list the newest first; the log wants what happened first to come first.
    return sorted(raws, key=lambda raw: raw.published_at)


def _attempt(parser: Callable[[bytes], _ParsedFeed | None], body: bytes) -> _ParsedFeed | None:
    try:
        return parser(body)
    # The parsers' errors, and those of what they stand on, have no common base. Whatever a document does to a parser,
    # it is that document's failure and not the server's.
    except Exception:  # noqa: BLE001
        return None


def _parse_fast(body: bytes) -> _ParsedFeed | None:
    """Read what is plainly a feed; one without entries is left to the other parser's judgement."""
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
    # A version is what feedparser gives to a document that it recognised, entries or none.
    return _ParsedFeed(_text(feed.feed, "title"), entries) if feed.version else None


def _text(table: Any, key: str) -> str:  # noqa: ANN401 - both parsers give dictionaries of their own kinds
    """Give a value that is a string; a JSON feed may hold anything under any key."""
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
    # A date from the future, or from before the epoch, is a mistake of the feed's.
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
