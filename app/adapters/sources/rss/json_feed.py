"""Read a JSON Feed (version 1 and 1.1). Fields with a wrong type are treated as missing."""

from collections.abc import Iterator

import msgspec

from app.adapters.sources.html_text import to_text
from app.adapters.sources.rss.entries import RawEntry, RawFeed
from app.adapters.sources.rss.markup import NotAFeed, escape_bare
from app.core.news.dates import parse_date

_DATES = ("date_published", "date_modified")
_LINKS = ("url", "external_url")


def is_json(text: str) -> bool:
    """Return whether a text can be a JSON Feed: whether it begins as an object."""
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def read_json(text: str) -> RawFeed:
    """Return the feed in a JSON document. Raises NotAFeed."""
    try:
        document = msgspec.json.decode(text.lstrip("\ufeff \t\r\n").encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotAFeed(f"not valid JSON: {error}") from None
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list) or "jsonfeed.org" not in str(document.get("version", "")):
        raise NotAFeed("JSON, but no JSON Feed")
    kept = [item for item in items if isinstance(item, dict)]
    return RawFeed(
        title=to_text(_text(document, "title")),
        links=tuple(filter(None, (_text(document, "home_page_url"),))),
        entries=list(map(_entry, kept)),
        cut=len(items) - len(kept),
    )


def _entry(item: dict[str, object]) -> RawEntry:
    found = _text(item, "id") or str(item["id"] if isinstance(item.get("id"), int | float) else "")
    guid_link = (found,) if found.startswith(("http://", "https://")) else ()
    text = _text(item, "content_text")
    return RawEntry(
        guid=found,
        links=tuple(filter(None, (*(_text(item, name) for name in _LINKS), *guid_link))),
        title=to_text(escape_bare(_text(item, "title"))),
        content=" ".join(text.split()) or to_text(_text(item, "content_html")) or to_text(_text(item, "summary")),
        date=next(filter(None, (parse_date(_text(item, name)) for name in _DATES)), None),
        author=next(_authors(item), ""),
        tags=_tags(item),
    )


def _text(table: dict[str, object], key: str) -> str:
    value = table.get(key)
    return value.strip() if isinstance(value, str) else ""


def _authors(item: dict[str, object]) -> Iterator[str]:
    authors = item.get("authors")
    for author in (*(authors if isinstance(authors, list) else ()), item.get("author")):
        if isinstance(author, dict):
            yield to_text(_text(author, "name"))


def _tags(item: dict[str, object]) -> tuple[str, ...]:
    tags = item.get("tags")
    return tuple(to_text(tag) for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
