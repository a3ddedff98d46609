"""Batched look-ups: each caller gets its own answer, never one from before its call."""

import asyncio
from collections.abc import Sequence

import pytest

from app.adapters.sqlite.batch_loader import BatchLoader


class Table:
    """Values by key, and the queries made so far; each query waits until it is released."""

    def __init__(self) -> None:
        self.values = {"a": 1, "b": 2}
        self.queries: list[list[str]] = []
        self.may_go_on = asyncio.Event()
        self.error: Exception | None = None

    async def find(self, keys: Sequence[str]) -> dict[str, int]:
        self.queries.append(list(keys))
        found = {key: self.values[key] for key in keys if key in self.values}
        await self.may_go_on.wait()
        if self.error is not None:
            raise self.error
        return found


async def asked(together: BatchLoader[int], *keys: str) -> list[asyncio.Task[int | None]]:
    """Start one look-up for each key, and run the loop until all of them wait."""
    tasks = [asyncio.create_task(together.get(key)) for key in keys]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_requests_during_a_query_share_the_next() -> None:
    table = Table()
    together = BatchLoader(table.find)
    first = await asked(together, "a")
    then = await asked(together, "b", "nobody", "a", "b")
    table.may_go_on.set()

    assert await asyncio.gather(*first, *then) == [1, 2, None, 1, 2]
    assert table.queries == [["a"], ["b", "nobody", "a"]]


async def test_request_after_a_change_sees_the_change() -> None:
    table = Table()
    together = BatchLoader(table.find)
    [before] = await asked(together, "a")
    table.values["a"] = 7
    [after] = await asked(together, "a")
    table.may_go_on.set()

    assert (await before, await after) == (1, 7)


async def test_failed_query_fails_all_callers_but_not_next() -> None:
    table = Table()
    together = BatchLoader(table.find)
    table.error = OSError("no disk")
    tasks = await asked(together, "a", "b")
    table.may_go_on.set()
    for task in tasks:
        with pytest.raises(OSError, match="no disk"):
            await task

    table.error = None
    assert await together.get("a") == 1


async def test_cancelled_caller_does_not_affect_others() -> None:
    table = Table()
    together = BatchLoader(table.find)
    goes, stays = await asked(together, "a", "a")
    goes.cancel()
    await asyncio.gather(goes, return_exceptions=True)
    table.may_go_on.set()

    assert await stays == 1


async def test_too_many_keys_become_several_queries() -> None:
    table = Table()
    table.values = {str(number): number for number in range(1_201)}
    together = BatchLoader(table.find)
    table.may_go_on.set()

    found = await asyncio.gather(*(together.get(str(number)) for number in range(1_201)))

    assert found == list(range(1_201))
    assert [len(keys) for keys in table.queries] == [500, 500, 201]
