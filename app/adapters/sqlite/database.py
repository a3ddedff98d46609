"""The SQLite file. This file owns how it is opened, its durability, and the one writer that all changes pass through.

synchronous=FULL in WAL mode: a commit returns when it is on the disk; NORMAL lost acknowledged rows on power loss. One
writer with BEGIN IMMEDIATE: a deferred transaction that reads and then writes fails at once when another one wrote.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import aiosqlite
import structlog

from app.adapters.sqlite import schema
from app.core.errors import Code, Damaged, Ours

Result = TypeVar("Result")
# Any: what a column holds is known only where its query stands.
Row = tuple[Any, ...]
Job = Callable[[aiosqlite.Connection], Awaitable[Result]]

_log = structlog.get_logger("sqlite")


class _Queued(NamedTuple):
    job: Job[object]
    committed: Callable[[], None]
    done: asyncio.Future[object]


class Database:
    """An open database. `read` is for queries only; every change goes through `write`."""

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue()

    @property
    def waiting(self) -> int:
        """Count the changes that wait for the writer."""
        return self._queue.qsize()

    async def write(self, job: Job[Result], committed: Callable[[], None] = lambda: None) -> Result:
        """Run a job in a transaction of its own and return once it is on the disk.

        `committed` is called after the commit and before the next job begins. The caller may be cancelled; the job then
        still runs to its end. Raises Ours(STORAGE_FULL) and Ours(INTERNAL).
        """
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Queued(job, committed, done))
        return await done  # type: ignore[return-value]  # the future carries the job's own result

    async def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """Run a query and give its rows."""
        async with self._reader.execute(sql, parameters) as cursor:
            return [tuple(row) for row in await cursor.fetchall()]

    async def run_writer(self) -> None:
        """Take jobs one by one, for ever."""
        while True:
            queued = await self._queue.get()
            try:
                result = await self._in_transaction(queued.job)
            except (sqlite3.Error, Ours) as error:
                if not queued.done.cancelled():
                    queued.done.set_exception(_explain(error))
            else:
                queued.committed()
                if not queued.done.cancelled():
                    queued.done.set_result(result)

    async def _in_transaction(self, job: Job[object]) -> object:
        await self._writer.execute("BEGIN IMMEDIATE")
        try:
            result = await job(self._writer)
            await self._writer.commit()
        except BaseException:
            with suppress(sqlite3.Error):
                await self._writer.rollback()
            raise
        return result


@asynccontextmanager
async def open_database(path: str) -> AsyncIterator[Database]:
    """Open the file, bring its tables up to date and run the writer while the context lasts. Raises Damaged."""
    # Autocommit: transactions begin where the code says so.
    async with aiosqlite.connect(path, isolation_level=None) as writer:
        try:
            await _prepare(writer)
        except sqlite3.DatabaseError as error:
            raise Damaged(f"{path} cannot be used as a database: {error}") from error
        async with aiosqlite.connect(path, isolation_level=None) as reader:
            await reader.execute("PRAGMA query_only = ON")
            database = Database(writer, reader)
            task = asyncio.create_task(database.run_writer(), name="sqlite-writer")
            try:
                yield database
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _prepare(writer: aiosqlite.Connection) -> None:
    await writer.execute("PRAGMA journal_mode = WAL")
    await writer.execute("PRAGMA synchronous = FULL")
    await writer.execute("PRAGMA busy_timeout = 5000")
    await schema.bring_up_to_date(writer)


def _explain(error: Exception) -> Exception:
    if isinstance(error, Ours):
        return error
    if getattr(error, "sqlite_errorname", "").startswith("SQLITE_FULL"):
        return Ours(Code.STORAGE_FULL, retry_after_s=30)
    _log.error("write_failed", error=str(error), error_name=getattr(error, "sqlite_errorname", type(error).__name__))
    return Ours(Code.INTERNAL)
