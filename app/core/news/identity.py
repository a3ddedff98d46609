"""Decide which entries of feeds are the same one.

Two entries are one if their guid in the same feed is the same, or if both their canonical link and their title are.
Without a guid, the link decides, and without a link, the title and the text. Publishers break each of these rules. So a
guid or a link that one fetch shows for several stories decides nothing, and neither do the guids of a feed that change
at every fetch.

Everything that identifies an entry is a key, which is a hash of 16 bytes. An entry is known if one of its keys is.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from app.core.news.feed_entry import FeedEntry
from app.core.news.urls import canonical, canonical_with_fragment
from app.core.text.words import normalize

Key = bytes


class Seen(NamedTuple):
    """A key that was seen: the version of its entry, and when it was last seen (Unix seconds)."""

    version: bytes
    at: float


class EntryIdentity(NamedTuple):
    """What identifies an entry. `name` is unique in the log. An entry is known if one of `deciding` is, and `others`
    are remembered with them: they decide about later entries. `link_key` is the canonical form of the link, "" if there
    is none, and `guid_key` the key of the guid if that decides. `version` is a hash of the title and the text.
    """

    name: str
    deciding: tuple[Key, ...]
    others: tuple[Key, ...]
    link_key: str
    guid_key: Key | None
    version: bytes

    @property
    def keys(self) -> tuple[Key, ...]:
        return (*self.deciding, *self.others)


def identify(entries: Sequence[FeedEntry], feed: str, *, trusts_guids: bool = True) -> list[EntryIdentity]:
    """Return what identifies each entry of one fetch. `feed` is the id of the feed."""
    links = [_link_keys(entry.link) for entry in entries]
    stories = [f"{page}\n{_plain(entry.title)}" for entry, (page, _) in zip(entries, links, strict=True)]
    guids = _of_one_story((entry.guid, story) for entry, story in zip(entries, stories, strict=True))
    pages = _of_one_story((place, story) for (_, place), story in zip(links, stories, strict=True))
    return [
        _identify(entry, feed, page, place if place in pages else "", has_guid=trusts_guids and entry.guid in guids)
        for entry, (page, place) in zip(entries, links, strict=True)
    ]


def _of_one_story(named: Iterable[tuple[str, str]]) -> Collection[str]:
    """Return the names that stand for one story each."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, story in named:
        if name:
            found[name].add(story)
    return {name for name, stories in found.items() if len(stories) == 1}


def _identify(entry: FeedEntry, feed: str, page: str, place: str, *, has_guid: bool) -> EntryIdentity:
    title = _plain(entry.title)
    guid = f"guid\n{feed}\n{entry.guid}" if entry.guid else ""
    link = f"link\n{place}" if place else ""
    story = f"story\n{page}\n{title}" if page and title else ""
    # A feed whose links change at every fetch shows the same text under each of them.
    where = feed if page else ""
    text = f"text\n{where}\n{title}\n{_plain(entry.content)}\n{entry.date.seconds if entry.date else ''}"
    candidates = (guid if has_guid else "", "" if has_guid else link, story, "" if has_guid and page else text)
    deciding = list(filter(None, candidates))
    others = [name for name in (guid, link) if name and name not in deciding]
    version = _key(f"{title}\n{_plain(entry.content)}")
    guid_key = _key(guid) if has_guid else None
    return EntryIdentity(deciding[0], tuple(map(_key, deciding)), tuple(map(_key, others)), page, guid_key, version)


def _link_keys(link: str) -> tuple[str, str]:
    """Return the canonical form of a link, without and with its fragment; ("", "") if there is no link."""
    return (canonical(link), canonical_with_fragment(link)) if link else ("", "")


def _plain(text: str) -> str:
    return " ".join(normalize(text).split())


def _key(name: str) -> Key:
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=16).digest()
