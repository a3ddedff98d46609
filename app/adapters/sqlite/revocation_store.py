"""Implement the port RevocationStore on SQLite."""

import aiosqlite

from app.adapters.sqlite.database import Database
from app.telemetry.labels import Operation

_UPSERT = """
    INSERT INTO revocations VALUES (?,?) ON CONFLICT (user_id) DO UPDATE SET issued_before = excluded.issued_before
"""


class SqliteRevocationStore:
    """Revocations in a SQLite table, one row for each user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> dict[str, float]:
        return dict(await self._database.read(Operation.LOAD_REVOCATIONS, "SELECT * FROM revocations"))

    async def save(self, user_id: str, issued_before: float, forget_before: float) -> None:
        async def store(connection: aiosqlite.Connection) -> None:
            await connection.execute("DELETE FROM revocations WHERE issued_before < ?", (forget_before,))
            await connection.execute(_UPSERT, (user_id, issued_before))

        await self._database.write(Operation.SAVE_REVOCATION, store)
