"""Read the feeds of Nitter instances: whose post an entry is, and which entries are no posts.

An entry of Nitter says in its title what it is: "RT by @desk: …" for a retweet, "R to @desk: …" for a reply, and
"Pinned: …" for a post that the account shows first. Its author is the account that wrote it.
"""

import re
from typing import NamedTuple

from app.core.news.feed_entry import FeedDocument, FeedEntry

_STATUS = re.compile(r"https?://[^/]+/(?:i|[A-Za-z0-9_]{1,20})/status/(\d{1,20})\b")
_CHANNEL = re.compile(r"(?:^|.*/ )@[A-Za-z0-9_]{1,20}$|^Search results for ")
_RETWEET = re.compile(r"RT by @([A-Za-z0-9_]{1,20}): ")
_REPLY = re.compile(r"R to @([A-Za-z0-9_]{1,20}): ")
_PINNED = "Pinned: "
_ACCOUNT = re.compile(r"@?[A-Za-z0-9_]{1,20}")


class Post(NamedTuple):
    """An entry of Nitter. `entry` has the text without the marks, `@account` of the author, and a guid that is the same
    for all instances. `retweeted_by` is the account that repeated it, with its `@`; "" if the author posted it.
    """

    entry: FeedEntry
    retweeted_by: str = ""


def is_nitter(document: FeedDocument) -> bool:
    """Return whether a document is a feed of Nitter: by the links of its entries, or by its title."""
    if document.entries:
        links = [entry.link for entry in document.entries]
        return all(map(_STATUS.match, links)) or (_is_channel(document) and not any(map(_is_story, links)))
    return _is_channel(document)


def read_post(entry: FeedEntry) -> Post | None:
    """Return the post that an entry is, or None if it is a notice of the instance."""
    status = _STATUS.match(entry.link)
    if status is None:
        return None
    title, tags, retweeted_by = entry.title.removeprefix(_PINNED), [], ""
    if retweet := _RETWEET.match(title):
        title, retweeted_by = title[retweet.end() :], f"@{retweet[1]}"
        tags.append("retweet")
    if reply := _REPLY.match(title):
        title = title[reply.end() :]
        tags.append("reply")
    author = entry.author if _ACCOUNT.fullmatch(entry.author) else entry.link.split("/")[3]
    return Post(
        entry._replace(
            guid=f"status {status[1]}",
            title=title,
            content=entry.content or title,
            author=f"@{author.removeprefix('@')}",
            tags=(*tags, *entry.tags),
        ),
        retweeted_by,
    )


def _is_channel(document: FeedDocument) -> bool:
    return _CHANNEL.match(document.title) is not None


def _is_story(link: str) -> bool:
    """Return whether a link leads to a page of its own, rather than to an instance itself."""
    return link.rstrip("/").count("/") > 3
