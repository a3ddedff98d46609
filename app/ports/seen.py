"""The port to the memory of feeds: which entries were seen, and what is known about each feed. It outlives restarts and
the retention of items.

Every method raises ServerError if the storage fails.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from app.core.news.identity import Key, Seen


class FeedState(msgspec.Struct, frozen=True):
    """What is remembered about a feed. `url` is its configured address, and `moved_to` where its server says that it
    has moved from there, "" if it has not; `etag` and `last_modified` are the validators of its last document.
    `guid_changes` counts the fetches in a row that showed known entries under new guids only.
    """

    url: str = ""
    moved_to: str = ""
    etag: str = ""
    last_modified: str = ""
    guid_changes: int = 0


class SeenStore(Protocol):
    """The entries that were seen, by their keys (core/news/identity)."""

    async def known(self, keys: Collection[Key]) -> dict[Key, Seen]:
        """Return those keys that were seen."""

    async def remember(self, versions: Mapping[Key, bytes], now: float) -> None:
        """Store keys that were seen at `now` (Unix seconds), each with the version of its entry, durably."""

    async def prune(self, seen_before: float, limit: int) -> int:
        """Delete up to `limit` keys that were last seen before `seen_before` (Unix seconds). Return how many were
        deleted.
        """

    async def feed(self, feed: str) -> FeedState | None:
        """Return what is remembered about a feed, by its id, or None if it was never read."""

    async def save_feed(self, feed: str, state: FeedState) -> None:
        """Store what is known about a feed."""
