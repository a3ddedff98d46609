"""Look-ups that wait together are one query. This file owns their batches.

Each way to SQLite's thread and back costs what some forty rows cost. When thousands connect at once, what was asked for
while one query ran is asked in the next; nothing is held back to make a batch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

Value = TypeVar("Value")

# SQLite takes at least 999 parameters in a query.
_MOST = 500


class BatchLoader(Generic[Value]):
    """Finds values by key; `find` gives those that there are, and the rest is None."""

    def __init__(self, find: Callable[[Sequence[str]], Awaitable[dict[str, Value]]]) -> None:
        self._find = find
        self._waiting: dict[str, asyncio.Future[Value | None]] = {}
        self._finding: asyncio.Task[None] | None = None

    async def get(self, key: str) -> Value | None:
        """Give what is stored now. Raises what the query raises."""
        found = self._waiting.get(key)
        if found is None:
            found = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._finding is None:
            self._finding = asyncio.create_task(self._find_all(), name="look-ups")
        # Whoever asks for the same and goes away must not take it from the others.
        return await asyncio.shield(found)

    async def _find_all(self) -> None:
        try:
            while self._waiting:
                keys = list(islice(self._waiting, _MOST))
                # From here on who asks for one of these gets what the next query finds.
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            self._finding = None

    async def _answer(self, asked: dict[str, asyncio.Future[Value | None]]) -> None:
        try:
            values = await self._find(list(asked))
        # It is the answer of everybody who asked, whatever it is.
        except Exception as error:  # noqa: BLE001
            for waiting in asked.values():
                waiting.set_exception(error)
                # All who asked may be gone.
                waiting.exception()
        else:
            for key, waiting in asked.items():
                waiting.set_result(values.get(key))
