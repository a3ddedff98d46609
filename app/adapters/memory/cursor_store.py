"""Implement the port CursorStore in memory."""

from collections.abc import Sequence

from app.ports.stores import Cursor


class MemoryCursorStore:
    """Cursors in a dictionary by user and device."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str], Cursor] = {}

    async def load(self, user_id: str, device_id: str) -> Cursor | None:
        return self._stored.get((user_id, device_id))

    async def count(self, user_id: str) -> int:
        return sum(user == user_id for user, _ in self._stored)

    async def save(self, cursors: Sequence[Cursor]) -> None:
        self._stored.update({(cursor.user_id, cursor.device_id): cursor for cursor in cursors})

    async def prune(self, updated_before: float, limit: int) -> int:
        old = [key for key, cursor in self._stored.items() if cursor.updated_at < updated_before][:limit]
        for key in old:
            del self._stored[key]
        return len(old)
