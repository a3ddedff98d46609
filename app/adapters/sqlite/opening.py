"""Open the SQLite file for durable and exclusive use, with clear errors if it cannot be opened.

With synchronous=FULL in WAL mode, a commit returns only when it is on disk. With synchronous=NORMAL, a power loss could
undo commits that were already reported as done.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial

import aiosqlite

from app.adapters.sqlite import schema
from app.adapters.sqlite.database import Database
from app.adapters.sqlite.database_file import DatabaseFile, locked
from app.adapters.sqlite.disk_space import DiskSpace
from app.adapters.sqlite.faults import fault_of
from app.core.errors import CorruptStateError
from app.core.text.words import normalize
from app.telemetry.labels import Fault
from app.telemetry.stats import Stats

# The size that the write-ahead log is cut to when all of its contents are in the database.
_MAX_IDLE_WAL_BYTES = 16 * 1024 * 1024
# The beginnings of the names of SQLite errors that are no sign of a damaged file.
_NO_DAMAGE = (
    *("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"),
    *("SQLITE_IOERR", "SQLITE_NOMEM"),
)


class CannotOpen(OSError):
    """The database file cannot be opened; the message names the setting and the reason."""


class SampleMismatch(ValueError):
    """Sample items would be stored among real ones, or real ones among sample items. The message says which."""


@asynccontextmanager
async def open_database(path: str, stats: Stats, *, is_sample: bool = False) -> AsyncIterator[Database]:
    """Open the database file, migrate its tables, and yield the database. Its writer runs while the context lasts.

    `is_sample` is whether sample items will be stored; an empty database is then marked for them. Raises CannotOpen if
    the path is wrong, another server has the file open, the file must not be written, or the disk is full. Raises
    CorruptStateError if the file is not a usable database, or is from a newer release. Raises SampleMismatch if the
    database is for sample items and `is_sample` is False, or the other way round.
    """
    # SQLite keeps its own files beside the file itself, also if the path is a symbolic link.
    path = await asyncio.to_thread(os.path.realpath, path)
    with _exclusively(path) as file:
        await asyncio.to_thread(_try_to_open, path)
        # Autocommit mode: a transaction begins only with an explicit BEGIN.
        connect = partial(aiosqlite.connect, path, isolation_level=None)
        space = DiskSpace(path)
        async with connect() as writer, connect() as reader, connect() as searcher:
            with explaining(path):
                await _prepare_in_space(writer, space)
            await space.reserve()
            for connection in (reader, searcher):
                await connection.execute("PRAGMA query_only = ON")
            await searcher.create_function("normalise", 1, normalize, deterministic=True)
            await writer.create_function("check_database_file", 0, file.check)
            with explaining(path):
                await _check_sample(writer, is_sample=is_sample)
                await file.mark.recognize(writer)
            database = Database(writer, reader, searcher, path, stats, space, file)
            # A TaskGroup would wrap exceptions of the context's body in an ExceptionGroup. It is not needed, because
            # the writer itself handles every failure of a job.
            database.start()
            try:
                yield database
            finally:
                await database.stop()
                await asyncio.to_thread(file.mark.save)
                await asyncio.to_thread(space.delete_ballast)


@contextmanager
def explaining(path: str) -> Iterator[None]:
    """Convert a sqlite3.DatabaseError to CannotOpen if the file may be intact, and to CorruptStateError otherwise."""
    try:
        yield
    except CorruptStateError as error:
        raise CorruptStateError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname.startswith(_NO_DAMAGE):
            raise CannotOpen(f"NEWS_DATABASE={path!r}: {error}") from error
        raise CorruptStateError(f"{path} cannot be used as a database: {error}") from error


async def _check_sample(writer: aiosqlite.Connection, *, is_sample: bool) -> None:
    """Check that a database is for sample items exactly if `is_sample` is set; an empty one becomes what it must be.
    Raises SampleMismatch.
    """
    sql = "SELECT is_sample, EXISTS (SELECT 1 FROM news_log) FROM log_identity"
    [(marked, has_items)] = await writer.execute_fetchall(sql)
    if has_items:
        refuse_mixing(is_marked=bool(marked), is_sample=is_sample)
    await writer.execute("UPDATE log_identity SET is_sample = ?", (is_sample,))


def refuse_mixing(*, is_marked: bool, is_sample: bool) -> None:
    """Raise SampleMismatch if a database with items is marked for sample items and `is_sample` is False, or the other
    way round.
    """
    if is_marked is not is_sample:
        raise SampleMismatch("holds sample news" if is_marked else "holds news that are no samples")


def _try_to_open(path: str) -> None:
    """Check that the file can be opened, before aiosqlite opens it. If aiosqlite failed to open it, aiosqlite's thread
    would outlive the event loop. Raises CannotOpen.
    """
    try:
        sqlite3.connect(path).close()
    except sqlite3.OperationalError as error:
        raise CannotOpen(f"NEWS_DATABASE={path!r}: {error}") from error


@contextmanager
def _exclusively(path: str) -> Iterator[DatabaseFile]:
    """Hold locks on the database file and on the file `<path>.lock` while the context lasts, because two servers on one
    database would assign the same seq twice. Servers of earlier releases know only the second lock.

    Raises CannotOpen if another server holds a lock, or a file cannot be opened.
    """
    with ExitStack() as locks:
        try:
            locks.enter_context(locked(f"{path}.lock"))
            descriptor = locks.enter_context(locked(path))
        except BlockingIOError:
            raise CannotOpen(f"NEWS_DATABASE={path!r}: another server has this database open") from None
        except OSError as error:
            raise CannotOpen(f"NEWS_DATABASE={path!r}: {error.strerror}") from error
        yield DatabaseFile(path, descriptor)


async def _prepare_in_space(writer: aiosqlite.Connection, space: DiskSpace) -> None:
    """Set the pragmas and migrate the tables. If the disk is full, delete the ballast that a killed server left behind,
    and try once more.
    """
    try:
        await _prepare(writer)
    except sqlite3.Error as error:
        if fault_of(error) is not Fault.FULL:
            raise
        await asyncio.to_thread(space.delete_ballast)
        await _prepare(writer)


async def _prepare(writer: aiosqlite.Connection) -> None:
    await writer.execute("PRAGMA busy_timeout = 5000")
    # Makes it possible to return free pages to the file system, as `Database.heal` does. It has an effect only in a new
    # file.
    await writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
    await writer.execute("PRAGMA journal_mode = WAL")
    # Otherwise the file keeps the size of the largest burst.
    await writer.execute(f"PRAGMA journal_size_limit = {_MAX_IDLE_WAL_BYTES}")
    await writer.execute("PRAGMA synchronous = FULL")
    await schema.migrate(writer)
