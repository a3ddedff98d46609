"""Implement the port SeenStore in memory."""

from collections.abc import Collection, Mapping

from app.core.news.identity import Key, Seen
from app.ports.seen import FeedState


class MemorySeenStore:
    """Keys and the states of feeds in dictionaries."""

    def __init__(self) -> None:
        self._seen: dict[Key, Seen] = {}
        self._feeds: dict[str, FeedState] = {}

    async def known(self, keys: Collection[Key]) -> dict[Key, Seen]:
        return {key: self._seen[key] for key in keys if key in self._seen}

    async def remember(self, versions: Mapping[Key, bytes], now: float) -> None:
        self._seen.update({key: Seen(version, now) for key, version in versions.items()})

    async def prune(self, seen_before: float, limit: int) -> int:
        old = [key for key, seen in self._seen.items() if seen.at < seen_before][:limit]
        for key in old:
            del self._seen[key]
        return len(old)

    async def feed(self, feed: str) -> FeedState | None:
        return self._feeds.get(feed)

    async def save_feed(self, feed: str, state: FeedState) -> None:
        self._feeds[feed] = state
