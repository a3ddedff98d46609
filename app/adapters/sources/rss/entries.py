"""Read the entries of a feed's tree: RSS 0.9x to 2.0, RDF and Atom."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urljoin

from lxml import etree

from app.adapters.sources.html_text import to_text
from app.adapters.sources.rss.markup import Tree, escape_bare
from app.core.news.dates import FeedDate, parse_date

# The namespaces of elements that are read, by the prefix that they usually have. The elements of RSS and Atom
# themselves have none here, whatever namespace a publisher puts them into.
_PREFIXES = {
    "http://www.w3.org/2005/atom": "atom",
    "http://purl.org/atom/ns#": "atom",
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://search.yahoo.com/mrss/": "media",
    "http://search.yahoo.com/mrss": "media",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
}
_OWN = frozenset(
    ("", "http://purl.org/rss/1.0/", "http://backend.userland.com/rss2", "http://my.netscape.com/rdf/simple/0.9/")
)

_TITLES = ("title", "dc:title", "media:title")
_TEXTS = (
    "content:encoded",
    "content",
    "description",
    "summary",
    "media:description",
    "itunes:summary",
    "dc:description",
)
_DATES = (
    *("pubdate", "published", "dc:date", "dcterms:issued", "issued", "dcterms:created", "created", "date"),
    *("updated", "dcterms:modified", "modified", "atom:published", "atom:updated"),
)
_GUIDS = ("guid", "id", "dc:identifier", "atom:id")
_AUTHORS = ("dc:creator", "author")
_TAGS = ("category", "dc:subject")
_UNDECLARED = re.compile(r"^(?:rss|atom|rdf):")
_DAY_HOURS = 24
_SAYS_SOMETHING = 20
# HTML drops what looks like a declaration of XML.
_DECLARATION = re.compile(r"<!(?!--|doctype html\b)", re.IGNORECASE)


class RawEntry(NamedTuple):
    """An entry as it stands in the document. `links` are as they are written, the best first, but resolved against
    xml:base; `title` and `content` are plain text.
    """

    guid: str
    links: tuple[str, ...]
    title: str
    content: str
    date: FeedDate | None
    author: str
    tags: tuple[str, ...]


class RawFeed(NamedTuple):
    """A feed as it stands in the document. `links` are those of its site, and `cut` counts entries without an end."""

    title: str
    links: tuple[str, ...]
    entries: list[RawEntry]
    cut: int = 0
    ttl_s: float = 0.0
    skip_hours: frozenset[int] = frozenset()


def read_tree(tree: Tree) -> RawFeed:
    """Return the feed in a tree."""
    root = tree.root
    own = _namespace(root)
    is_atom = _local(root) == "feed"
    found = [element for element in root.iter("{*}*") if _local(element) == ("entry" if is_atom else "item")]
    kept = found[:-1] if tree.is_cut else found
    channel = root if is_atom else next((child for child in root if _local(child) == "channel"), root)
    parts = _children(channel, own)
    return RawFeed(
        title=_title(parts.get("title", [])),
        links=_links(parts),
        entries=[_entry(element, own) for element in kept],
        cut=len(found) - len(kept),
        ttl_s=_ttl_s(parts),
        skip_hours=_skip_hours(parts),
    )


def _entry(element: etree._Element, own: str) -> RawEntry:
    parts = _children(element, own)
    return RawEntry(
        guid=next(_texts_of(parts, _GUIDS), "") or _about(element),
        links=_links(parts),
        title=next(filter(None, (_title(parts.get(name, [])) for name in _TITLES)), ""),
        content=_longest_of_short([_content(found) for name in _TEXTS for found in parts.get(name, [])]),
        date=next(filter(None, map(parse_date, _texts_of(parts, _DATES))), None),
        author=next(_authors(parts), ""),
        tags=tuple(dict.fromkeys(_tags(parts))),
    )


def _children(element: etree._Element, own: str) -> dict[str, list[etree._Element]]:
    """Return the children of an element by their names, with the usual prefix unless they are of RSS or Atom itself. A
    prefix that the document does not declare is part of the name already.
    """
    parts: dict[str, list[etree._Element]] = {}
    for child in element.iterchildren("{*}*"):
        namespace, name = _namespace(child), _local(child)
        if namespace in _OWN or namespace == own:
            parts.setdefault(name, []).append(child)
        elif prefix := _PREFIXES.get(namespace):
            parts.setdefault(f"{prefix}:{name}", []).append(child)
    return parts


def _namespace(element: etree._Element) -> str:
    tag = str(element.tag)
    return tag[1:].partition("}")[0].lower() if tag.startswith("{") else ""


def _local(element: etree._Element) -> str:
    """Return the name of an element, without a prefix of RSS or Atom itself that the document does not declare."""
    return _UNDECLARED.sub("", str(element.tag).rpartition("}")[2].lower())


def _text(element: etree._Element) -> str:
    return " ".join("".join(map(str, element.itertext())).split())


def _texts_of(parts: dict[str, list[etree._Element]], names: Iterable[str]) -> Iterator[str]:
    """Yield the texts of the children with these names that are not empty."""
    yield from filter(None, (_text(element) for name in names for element in parts.get(name, [])))


def _markup(element: etree._Element) -> str:
    """Return what is inside an element as HTML. What is escaped in XML is HTML already."""
    inside = [element.text or ""]
    for child in element:
        for part in child.iter("{*}*"):
            # A forgiving parser lets names through that no element may have.
            with suppress(ValueError):
                part.tag = _local(part).rpartition(":")[2]
        inside.append(etree.tostring(child, encoding="unicode", method="html"))
    return "".join(inside)


def _title(elements: list[etree._Element]) -> str:
    for element in elements:
        if element.get("type") in ("text", "text/plain", "plain") and not len(element):
            text = _text(element)
        else:
            text = to_text(escape_bare(_markup(element)))
        if text:
            return text
    return ""


def _content(element: etree._Element) -> str:
    if element.get("type") in ("text", "text/plain", "plain") and not len(element):
        return _text(element)
    return to_text(_DECLARATION.sub("&lt;!", _markup(element)))


def _longest_of_short(texts: list[str]) -> str:
    """Return the first text that says something. If all are as short as "Read more", return the longest."""
    return next((text for text in texts if len(text) >= _SAYS_SOMETHING), max(texts, key=len, default=""))


def _about(element: etree._Element) -> str:
    """Return the attribute rdf:about, which is the guid of an RDF item."""
    return next((str(value) for name, value in element.attrib.items() if str(name).endswith("}about")), "").strip()


def _links(parts: dict[str, list[etree._Element]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, _written_links(parts))))


def _written_links(parts: dict[str, list[etree._Element]]) -> Iterator[str]:
    """Yield the links of an entry or a feed: first those to the page, then others that lead to it."""
    links = [*parts.get("link", []), *parts.get("atom:link", [])]
    yield from (_based(link, _text(link)) for link in links if not link.get("href"))
    pages = [link for link in links if link.get("href") and link.get("rel", "alternate") == "alternate"]
    pages.sort(key=lambda link: link.get("type", "text/html") not in ("text/html", "application/xhtml+xml"))
    yield from (_based(link, link.get("href", "")) for link in pages)
    for guid in (*parts.get("guid", []), *parts.get("id", [])):
        if guid.get("isPermaLink", guid.get("ispermalink", "true")).strip().lower() != "false" and _is_web(_text(guid)):
            yield _text(guid)
    yield from (
        _based(one, one.get("url", "")) for one in (*parts.get("enclosure", []), *parts.get("media:content", []))
    )
    yield from (
        _based(link, link.get("href", "")) for link in links if link.get("rel") in ("enclosure", "related", "via")
    )


def _based(element: etree._Element, link: str) -> str:
    """Return a link, resolved against the xml:base that holds for its element."""
    return urljoin(element.base or "", link.strip()) if link else link


def _is_web(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _authors(parts: dict[str, list[etree._Element]]) -> Iterator[str]:
    for name in _AUTHORS:
        for element in parts.get(name, []):
            named = next((child for child in element if _local(child) == "name"), element)
            yield to_text(_text(named))


def _tags(parts: dict[str, list[etree._Element]]) -> Iterator[str]:
    for name in _TAGS:
        for element in parts.get(name, []):
            yield to_text(element.get("label") or element.get("term") or _text(element))


def _ttl_s(parts: dict[str, list[etree._Element]]) -> float:
    text = next(_texts_of(parts, ("ttl",)), "")
    return 60.0 * int(text) if text.isdecimal() and len(text) < 6 else 0.0


def _skip_hours(parts: dict[str, list[etree._Element]]) -> frozenset[int]:
    hours = [_text(hour) for skipped in parts.get("skiphours", []) for hour in skipped]
    # Some publishers count the hours from 1 to 24.
    return frozenset(int(hour) % _DAY_HOURS for hour in hours if hour.isdecimal() and len(hour) < 3)
