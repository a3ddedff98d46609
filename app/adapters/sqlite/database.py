"""The SQLite file. This file owns how it is opened, its durability, the one writer, and who may read how long.

synchronous=FULL in WAL mode: a commit returns when it is on the disk; NORMAL lost acknowledged rows on power loss. One
writer with BEGIN IMMEDIATE: a deferred transaction that reads and then writes fails at once when another one wrote.
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiosqlite
import structlog

from app.adapters.sqlite import schema
from app.core.errors import Code, Damaged, Ours
from app.core.text import normalise
from app.telemetry.labels import Fault, Operation
from app.telemetry.stats import Stats

Result = TypeVar("Result")

_MAX_SEARCHES = 8
_SEARCH_S = 5.0
# Any: what a column holds is known only where its query stands.
Row = tuple[Any, ...]
Job = Callable[[aiosqlite.Connection], Awaitable[Result]]

_log = structlog.get_logger("sqlite")


class CannotOpen(OSError):
    """The database file cannot be had; the message names the setting and the reason."""


class _Queued(NamedTuple):
    operation: Operation
    job: Job[object]
    committed: Callable[[], None]
    done: asyncio.Future[object]
    since: float


class Database:
    """An open database: every change goes through `write`, what is found at once through `read`, the rest `search`."""

    def __init__(
        self,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        searcher: aiosqlite.Connection,
        path: str,
        stats: Stats,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._searcher = searcher
        self._path = path
        self._stats = stats
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue()
        self._reading = 0
        self._searching = 0
        self._search_turn = asyncio.Lock()

    @property
    def pending(self) -> int:
        """Count the operations that wait for a thread of SQLite, or run there."""
        return self._queue.qsize() + self._reading

    def file_sizes(self) -> dict[str, float]:
        """Give the bytes of the main file and of the write-ahead log."""
        return {name: _size(self._path + suffix) for name, suffix in (("main", ""), ("wal", "-wal"))}

    async def write(
        self, operation: Operation, job: Job[Result], committed: Callable[[], None] = lambda: None
    ) -> Result:
        """Run a job in a transaction of its own and return once it is on the disk.

        `committed` is called after the commit and before the next job begins. The caller may be cancelled; the job
        then still runs to its end. Raises Ours(STORAGE_FULL) and Ours(INTERNAL).
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()
        self._queue.put_nowait(_Queued(operation, job, committed, done, loop.time()))
        return await done  # type: ignore[return-value]  # the future carries the job's own result

    async def read(self, operation: Operation, sql: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """Run a query that finds its rows at once, and give them. Raises Ours(INTERNAL)."""
        return await self._run(self._reader, operation, sql, parameters)

    async def search(self, operation: Operation, sql: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """Run a query that may have to look at every row, and give what it finds.

        Searches have a connection of their own, so that nothing else waits behind one; few may wait, and one that takes
        too long is broken off. Raises Ours(OVERLOADED) and Ours(INTERNAL).
        """
        if self._searching >= _MAX_SEARCHES:
            raise Ours(Code.OVERLOADED, retry_after_s=_SEARCH_S)
        self._searching += 1
        try:
            async with asyncio.timeout(_SEARCH_S), self._search_turn:
                return await self._search(operation, sql, parameters)
        except TimeoutError:
            raise Ours(Code.OVERLOADED, "The search took too long: ask for less", retry_after_s=_SEARCH_S) from None
        finally:
            self._searching -= 1

    async def _search(self, operation: Operation, sql: str, parameters: tuple[object, ...]) -> list[Row]:
        try:
            return await self._run(self._searcher, operation, sql, parameters)
        except asyncio.CancelledError:
            # A cancelled query goes on in its thread, and whoever comes next would wait behind it.
            await self._searcher.interrupt()
            raise

    async def _run(
        self, connection: aiosqlite.Connection, operation: Operation, sql: str, parameters: tuple[object, ...]
    ) -> list[Row]:
        loop = asyncio.get_running_loop()
        since = loop.time()
        fault = None
        self._reading += 1
        try:
            async with connection.execute(sql, parameters) as cursor:
                return [tuple(row) for row in await cursor.fetchall()]
        except sqlite3.Error as error:
            fault = _fault(error)
            raise _explain(error) from error
        finally:
            self._reading -= 1
            self._stats.database_worked(operation, loop.time() - since, fault)

    async def run_writer(self) -> None:
        """Take jobs one by one, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            queued = await self._queue.get()
            fault = None
            try:
                result = await self._in_transaction(queued.job)
            # The edge between one change and the writer: whatever it is, it is that caller's answer.
            except Exception as error:  # noqa: BLE001
                fault = _fault(error)
                _settle(queued.done, _explain(error))
            else:
                queued.committed()
                _settle(queued.done, result)
            self._stats.database_worked(queued.operation, loop.time() - queued.since, fault)

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
async def open_database(path: str, stats: Stats) -> AsyncIterator[Database]:
    """Open the file, bring its tables up to date and run the writer while the context lasts.

    Raises Damaged, and CannotOpen where the path is wrong or another server has the file.
    """
    with _alone(path):
        await asyncio.to_thread(_try_to_open, path)
        # Autocommit: transactions begin where the code says so.
        connect = partial(aiosqlite.connect, path, isolation_level=None)
        async with connect() as writer, connect() as reader, connect() as searcher:
            with explaining(path):
                await _prepare(writer)
            for connection in (reader, searcher):
                await connection.execute("PRAGMA query_only = ON")
            await searcher.create_function("normalise", 1, normalise, deterministic=True)
            database = Database(writer, reader, searcher, path, stats)
            # No TaskGroup: it would wrap whatever its user raises. The writer answers every failure itself.
            task = asyncio.create_task(database.run_writer(), name="sqlite-writer")
            try:
                yield database
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


@contextmanager
def explaining(path: str) -> Iterator[None]:
    """Turn what SQLite says of a file that it cannot use into Damaged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise Damaged(f"{path} cannot be used as a database: {error}") from error


def _try_to_open(path: str) -> None:
    """Find out whether the file can be opened: aiosqlite's thread outlives the loop when that fails there."""
    try:
        sqlite3.connect(path).close()
    except sqlite3.OperationalError as error:
        raise CannotOpen(f"NEWS_DATABASE={path!r}: {error}") from error


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """Hold the lock beside the file: two servers would give the same seq twice. It goes with the process."""
    try:
        lock = Path(f"{path}.lock").open("w")  # noqa: SIM115 - held until the context ends
    except OSError as error:
        raise CannotOpen(f"NEWS_DATABASE={path!r}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotOpen(f"NEWS_DATABASE={path!r}: another server has this database open") from None
        yield


async def _prepare(writer: aiosqlite.Connection) -> None:
    await writer.execute("PRAGMA busy_timeout = 5000")
    await writer.execute("PRAGMA journal_mode = WAL")
    await writer.execute("PRAGMA synchronous = FULL")
    await schema.bring_up_to_date(writer)


def _settle(done: asyncio.Future[object], outcome: object) -> None:
    """Give a caller its result or its error; one who has gone gets nothing."""
    if done.cancelled():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


def _explain(error: Exception) -> Ours:
    """Say to a caller what a failure means; what exactly it was is in the log."""
    if isinstance(error, Ours):
        return error
    fault = _fault(error)
    _log.error("database_failed", kind=fault.value, error=str(error), error_type=type(error).__name__)
    return Ours(*_MEANINGS.get(fault, (Code.INTERNAL, "")), retry_after_s=_RETRY_AFTER_S.get(fault))


_MEANINGS = {
    Fault.FULL: (Code.STORAGE_FULL, ""),
    Fault.BUSY: (Code.OVERLOADED, "Another program holds the database"),
}
_RETRY_AFTER_S = {Fault.FULL: 30.0, Fault.BUSY: 2.0}
_FAULTS = {
    "SQLITE_BUSY": Fault.BUSY,
    "SQLITE_LOCKED": Fault.BUSY,
    "SQLITE_FULL": Fault.FULL,
    "SQLITE_IOERR": Fault.IO,
    "SQLITE_CONSTRAINT": Fault.CONSTRAINT,
}


def _fault(error: Exception) -> Fault:
    name = getattr(error, "sqlite_errorname", "")
    return next((fault for prefix, fault in _FAULTS.items() if name.startswith(prefix)), Fault.OTHER)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0
