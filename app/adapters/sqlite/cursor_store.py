"""Implement the port CursorStore on SQLite."""

from collections.abc import Sequence

import aiosqlite

from app.adapters.sqlite.database import Database
from app.core.delivery.positions import Position
from app.ports.stores import Cursor
from app.telemetry.labels import Operation

_UPSERT = """
    INSERT INTO cursors VALUES (?,?,?,?,?,?) ON CONFLICT (user_id, device_id) DO UPDATE SET
        epoch = excluded.epoch, seq = excluded.seq, updated_at = excluded.updated_at, sent = excluded.sent
"""
_PRUNE = """
    DELETE FROM cursors WHERE (user_id, device_id) IN
        (SELECT user_id, device_id FROM cursors WHERE updated_at < ? LIMIT ?)
"""


class SqliteCursorStore:
    """The cursors of devices in a SQLite table, one row for each user and device."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, user_id: str, device_id: str) -> Cursor | None:
        rows = await self._database.read(
            Operation.LOAD_CURSOR,
            "SELECT epoch, seq, updated_at, sent FROM cursors WHERE user_id = ? AND device_id = ?",
            (user_id, device_id),
        )
        cursors = (Cursor(user_id, device_id, Position(epoch, seq), at, sent) for epoch, seq, at, sent in rows)
        return next(cursors, None)

    async def count(self, user_id: str) -> int:
        sql = "SELECT count(*) FROM cursors WHERE user_id = ?"
        [(count,)] = await self._database.read(Operation.LOAD_CURSOR, sql, (user_id,))
        return int(count)

    async def save(self, cursors: Sequence[Cursor]) -> None:
        rows = [(user, device, position.epoch, position.seq, at, sent) for user, device, position, at, sent in cursors]

        async def store(connection: aiosqlite.Connection) -> None:
            await connection.executemany(_UPSERT, rows)

        await self._database.write(Operation.SAVE_CURSOR, store)

    async def prune(self, updated_before: float, limit: int) -> int:
        async def drop(connection: aiosqlite.Connection) -> int:
            return (await connection.execute(_PRUNE, (updated_before, limit))).rowcount

        return await self._database.write(Operation.SAVE_CURSOR, drop)
