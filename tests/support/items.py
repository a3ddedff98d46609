"""Builders: a valid value of each kind, with what a test cares about set."""

from typing import Any

import msgspec

from app.core.news.item import Category, NewsItem, Source
from app.core.news.urls import canonical, item_id
from app.ports.log import Entry

_PLAIN = NewsItem(
    id="rss_1",
    source=Source.RSS,
    source_account="Example Wire",
    title="A title",
    content="Some content",
    url="https://example.com/1",
    published_at=1_000_000.0,
    impact_score=80.0,
    relevance_score=50.0,
    category=Category.CRYPTO,
)


def item(**changes: Any) -> NewsItem:
    return msgspec.structs.replace(_PLAIN, **changes)


def entry(number: int, accepted_at: float = 1_000_000.0, **changes: Any) -> Entry:
    """Return an entry for the log with an id and a URL made from a number."""
    url = f"https://example.com/{number}"
    key = canonical(url)
    made = item(**({"id": item_id("rss", key), "url": url, "title": f"Story {number}"} | changes))
    return Entry(made, key, accepted_at)


def raw(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a publisher's object."""
    return {
        "source": "rss",
        "source_account": "Example Wire",
        "title": f"Story {number}",
        "content": f"Content of story {number}",
        "url": f"https://example.com/{number}",
        "published_at": 1_000_000.0,
        **changes,
    }
