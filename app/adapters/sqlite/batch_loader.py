"""Combine concurrent look-ups by key into one query.

A round trip to SQLite's thread takes as long as reading about forty rows. So the keys that are requested while one
query runs are looked up together by the next query. This matters when thousands of clients connect at once. A look-up
is never delayed in order to fill a batch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from app.adapters.sqlite.queries import MAX_KEYS

Value = TypeVar("Value")


class BatchLoader(Generic[Value]):
    """Looks up values by key, at most MAX_KEYS in one query. `find` runs the query: it takes several keys, and returns
    the values that exist, by key.
    """

    def __init__(self, find: Callable[[Sequence[str]], Awaitable[dict[str, Value]]]) -> None:
        self._find = find
        self._waiting: dict[str, asyncio.Future[Value | None]] = {}
        self._finding: asyncio.Task[None] | None = None

    async def get(self, key: str) -> Value | None:
        """Return the value of a key, or None if `find` does not return one. Raises what `find` raises."""
        found = self._waiting.get(key)
        if found is None:
            found = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._finding is None:
            self._finding = asyncio.create_task(self._find_all(), name="look-ups")
        # If this caller is cancelled, the look-up continues for other callers that wait for the same key.
        return await asyncio.shield(found)

    async def _find_all(self) -> None:
        try:
            while self._waiting:
                keys = list(islice(self._waiting, MAX_KEYS))
                # From here on a new request for one of these keys is answered by the next query.
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            self._finding = None

    async def _answer(self, callers: dict[str, asyncio.Future[Value | None]]) -> None:
        try:
            values = await self._find(list(callers))
        # Every caller of this batch gets the query's error, whatever type the error has.
        except Exception as error:  # noqa: BLE001
            for waiting in callers.values():
                waiting.set_exception(error)
                # Mark the exception as retrieved. Otherwise asyncio would log it if every caller was cancelled.
                waiting.exception()
        else:
            for key, waiting in callers.items():
                waiting.set_result(values.get(key))
