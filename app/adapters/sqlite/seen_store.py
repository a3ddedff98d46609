"""Implement the port SeenStore on SQLite."""

from collections.abc import Collection, Mapping

import aiosqlite
import msgspec

from app.adapters.sqlite.database import Database
from app.adapters.sqlite.queries import in_parts
from app.core.news.identity import Key, Seen
from app.ports.seen import FeedState
from app.telemetry.labels import Operation

_UPSERT = """
    INSERT INTO seen_entries VALUES (?,?,?) ON CONFLICT (key) DO UPDATE SET
        version = excluded.version, seen_at = excluded.seen_at
"""
_PRUNE = "DELETE FROM seen_entries WHERE key IN (SELECT key FROM seen_entries WHERE seen_at < ? LIMIT ?)"
_UPSERT_FEED = "INSERT INTO feed_states VALUES (?,?) ON CONFLICT (feed) DO UPDATE SET state = excluded.state"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(FeedState, strict=False).decode


class SqliteSeenStore:
    """The keys in a SQLite table, one row for each, and the states of feeds in another."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, keys: Collection[Key]) -> dict[Key, Seen]:
        found: dict[Key, Seen] = {}
        for part, marks in in_parts(keys):
            sql = f"SELECT key, version, seen_at FROM seen_entries WHERE key IN ({marks})"
            rows = await self._database.read(Operation.LOAD_SEEN, sql, part)
            found.update({key: Seen(version, seen_at) for key, version, seen_at in rows})
        return found

    async def remember(self, versions: Mapping[Key, bytes], now: float) -> None:
        rows = [(key, version, int(now)) for key, version in versions.items()]

        async def store(connection: aiosqlite.Connection) -> None:
            await connection.executemany(_UPSERT, rows)

        await self._database.write(Operation.SAVE_SEEN, store)

    async def prune(self, seen_before: float, limit: int) -> int:
        async def drop(connection: aiosqlite.Connection) -> int:
            return (await connection.execute(_PRUNE, (int(seen_before), limit))).rowcount

        return await self._database.write(Operation.SAVE_SEEN, drop)

    async def feed(self, feed: str) -> FeedState | None:
        rows = await self._database.read(Operation.LOAD_SEEN, "SELECT state FROM feed_states WHERE feed = ?", (feed,))
        return next((_decode(state) for (state,) in rows), None)

    async def save_feed(self, feed: str, state: FeedState) -> None:
        async def store(connection: aiosqlite.Connection) -> None:
            await connection.execute(_UPSERT_FEED, (feed, _encode(state).decode()))

        await self._database.write(Operation.SAVE_SEEN, store)
