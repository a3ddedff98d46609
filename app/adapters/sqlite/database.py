"""The open SQLite file, with one connection for writes, one for indexed reads, and one for searches.

The writer's transactions start with BEGIN IMMEDIATE, which waits up to five seconds for a lock on the file. SQLite's
default, a deferred transaction, would fail at once if another connection wrote between the transaction's first read and
its first write.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiosqlite

from app.adapters.sqlite.database_file import CHECK_FILE, DatabaseFile
from app.adapters.sqlite.disk_space import DiskSpace
from app.adapters.sqlite.faults import DatabaseFileLost, explain, fault_of
from app.core.errors import ErrorCode, ServerError
from app.telemetry.labels import Fault, Operation
from app.telemetry.stats import Stats

Result = TypeVar("Result")

_MAX_SEARCHES = 8
_SEARCH_S = 5.0
_HEAL_EVERY_S = 5.0
_CHECK_FILE_EVERY_S = 1.0
_SHRINK_PAGES = 2_000
# A change takes milliseconds, and never longer than this unless the disk or SQLite's thread hangs.
_STALLED_S = 5.0
# `Any`, because the type of each column depends on the query.
Row = tuple[Any, ...]
Job = Callable[[aiosqlite.Connection], Awaitable[Result]]


class _Queued(NamedTuple):
    operation: Operation
    job: Job[object]
    in_transaction: bool
    committed: Callable[[], None]
    done: asyncio.Future[object]
    since: float


class Database:
    """An open database. `write` is for changes, `read` for look-ups by an index, and `search` for queries that may read
    every row.
    """

    def __init__(
        self,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        searcher: aiosqlite.Connection,
        path: str,
        stats: Stats,
        space: DiskSpace,
        file: DatabaseFile,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._searcher = searcher
        self.path = path
        self.stats = stats
        self._space = space
        self._file = file
        self.mark = file.mark
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue()
        # When the writer began with the change that it makes now (monotonic seconds); None if it waits for one.
        self._writing_since: float | None = None
        self._reading = 0
        self._searching = 0
        self._search_lock = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pending(self) -> int:
        """Return the number of writes in the queue, plus the number of reads and searches that SQLite's threads have
        not finished.

        The running write is not counted. A search that waits until an earlier search ends is not counted either.
        """
        return self._queue.qsize() + self._reading

    def is_writable(self) -> bool:
        """Return whether every change is accepted and soon made. On a full disk only some changes are accepted. After
        a failed fsync no change is accepted until the server is restarted.
        """
        return self._space.is_writable and self.stalled_s() < _STALLED_S

    def stalled_s(self) -> float:
        """Return for how many seconds the writer has been making one change, or 0 if it makes none."""
        return 0.0 if self._writing_since is None else asyncio.get_running_loop().time() - self._writing_since

    def file_sizes(self) -> dict[str, float]:
        """Return the sizes in bytes of the database file (`main`) and its write-ahead log (`wal`). A missing file has
        the size 0.
        """
        return {name: _size(self.path + suffix) for name, suffix in (("main", ""), ("wal", "-wal"))}

    async def write(
        self, operation: Operation, job: Job[Result], committed: Callable[[], None] = lambda: None
    ) -> Result:
        """Run a job in its own transaction, and return the job's result when the transaction is on disk.

        `committed` is called after the commit and before the next job starts. If the caller is cancelled, the job still
        runs to its end. Raises ServerError with STORAGE_FULL, OVERLOADED (another program has locked the database), or
        INTERNAL.
        """
        refusal = self._space.refusal(operation)
        if refusal is not None:
            raise refusal
        done = self._enqueue(operation, job, committed, in_transaction=True)
        return await done  # type: ignore[return-value]  # the future carries the job's own result

    async def heal(self) -> None:
        """Try to recover from a full disk: shrink the database file, and accept all changes again if there is enough
        space. Do nothing if the disk is not marked as full.
        """
        if self._space.is_full:
            with suppress(ServerError):
                self._file.expect_shrinking()
                await self._enqueue(Operation.PURGE_HISTORY, _shrink, lambda: None, in_transaction=False)
                self._file.expect_shrinking()
            await self._space.recover()

    def start(self) -> None:
        """Start the tasks that write and heal."""
        works = {
            "sqlite-writer": self.run_writer,
            "sqlite-healing": self.run_healing,
            "sqlite-file-checks": self.run_file_checks,
        }
        self._tasks = [asyncio.create_task(work(), name=name) for name, work in works.items()]

    async def stop(self) -> None:
        """Cancel the tasks that write and heal, and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def watch(self) -> None:
        """Return when one of these tasks has ended."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def run_file_checks(self) -> None:
        """Check every second that the database file is still there, and store the newest seq in the mark, until
        cancelled.
        """
        while True:
            await asyncio.sleep(_CHECK_FILE_EVERY_S)
            await asyncio.to_thread(self._file.check)
            await asyncio.to_thread(self.mark.save)
            if self._file.is_lost:
                await self._space.record_fault(Fault.FILE)

    async def run_healing(self) -> None:
        """Call `heal` every _HEAL_EVERY_S seconds, until cancelled."""
        while True:
            await asyncio.sleep(_HEAL_EVERY_S)
            await self.heal()

    def _enqueue(
        self, operation: Operation, job: Job[object], committed: Callable[[], None], *, in_transaction: bool
    ) -> asyncio.Future[object]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()
        self._queue.put_nowait(_Queued(operation, job, in_transaction, committed, done, loop.time()))
        return done

    async def read(self, operation: Operation, sql: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """Run a query that uses an index, and return its rows. Raises ServerError with OVERLOADED if another program
        has locked the database, with STORAGE_FULL if the disk is full, and with INTERNAL for any other error.
        """
        return await self._run(self._reader, operation, sql, parameters)

    async def read_each(self, sql: str, keys: Iterable[object]) -> list[Row]:
        """Run a query that uses an index once for each key, and return all rows. Keys whose rows are in a damaged part
        of the file are skipped. Raises as `read` for other errors.
        """
        rows: list[Row] = []
        for key in keys:
            try:
                rows += map(tuple, await self._reader.execute_fetchall(sql, (key,)))
            except sqlite3.DatabaseError as error:
                if fault_of(error) is not Fault.CORRUPT:
                    raise explain(error) from error
        return rows

    async def search(self, operation: Operation, sql: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """Run a query that may have to read every row, and return its rows.

        Searches run one at a time on their own connection, so that no other operation waits for a search. A search may
        take _SEARCH_S seconds, waiting included; if it still runs then, it is interrupted. Raises
        ServerError(OVERLOADED) after that time, or at once if _MAX_SEARCHES searches already run or wait. Other errors
        are as in `read`.
        """
        if self._searching >= _MAX_SEARCHES:
            raise ServerError(ErrorCode.OVERLOADED, retry_after_s=_SEARCH_S)
        self._searching += 1
        try:
            async with asyncio.timeout(_SEARCH_S), self._search_lock:
                return await self._search(operation, sql, parameters)
        except TimeoutError:
            raise ServerError(
                ErrorCode.OVERLOADED, "The search took too long: narrow the query", retry_after_s=_SEARCH_S
            ) from None
        finally:
            self._searching -= 1

    async def _search(self, operation: Operation, sql: str, parameters: tuple[object, ...]) -> list[Row]:
        try:
            return await self._run(self._searcher, operation, sql, parameters)
        except asyncio.CancelledError:
            # A cancelled task does not stop the query in SQLite's thread. Without an interrupt the next search would
            # wait for that query.
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
            # execute_fetchall() takes one round trip to SQLite's thread; execute(), fetchall() and close() take three.
            return [tuple(row) for row in await connection.execute_fetchall(sql, parameters)]
        except sqlite3.Error as error:
            fault = fault_of(error)
            raise explain(error) from error
        finally:
            self._reading -= 1
            self.stats.server.record_database(operation, loop.time() - since, fault)

    async def run_writer(self) -> None:
        """Run queued jobs one by one, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            queued = await self._queue.get()
            self._writing_since = loop.time()
            fault = None
            try:
                job = queued.job
                result = await (self._in_transaction(job) if queued.in_transaction else job(self._writer))
            # Any failure of a job is passed to its caller, and must not stop the writer.
            except Exception as error:  # noqa: BLE001
                fault = fault_of(error)
                await self._space.record_fault(fault)
                _settle(queued.done, explain(error))
            else:
                queued.committed()
                _settle(queued.done, result)
            self._writing_since = None
            self.stats.server.record_database(queued.operation, loop.time() - queued.since, fault)

    async def _in_transaction(self, job: Job[object]) -> object:
        await self._writer.execute("BEGIN IMMEDIATE")
        try:
            result = await job(self._writer)
            # executescript() commits the transaction first, so that one visit of SQLite's thread does both.
            await self._writer.executescript(CHECK_FILE)
            if self._file.is_lost:
                raise DatabaseFileLost
        except BaseException:
            with suppress(sqlite3.Error):
                await self._writer.rollback()
            raise
        return result


async def _shrink(connection: aiosqlite.Connection) -> None:
    """Shrink the file by up to _SHRINK_PAGES free pages, and truncate the write-ahead log."""
    # PRAGMA incremental_vacuum frees one page for each result row that is read. executescript() reads all rows, but
    # execute() reads only the first.
    await connection.executescript(f"PRAGMA incremental_vacuum({_SHRINK_PAGES}); PRAGMA wal_checkpoint(TRUNCATE)")


def _settle(done: asyncio.Future[object], outcome: object) -> None:
    """Complete a caller's future with a result or an exception, unless the caller was cancelled."""
    if done.cancelled():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0
