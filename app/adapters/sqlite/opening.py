"""Open the SQLite file: durability, exclusive use, and clear errors if it cannot be opened.

synchronous=FULL in WAL mode: a commit returns when it is on the disk. NORMAL would lose acknowledged rows on power
loss.
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import aiosqlite

from app.adapters.sqlite import schema
from app.adapters.sqlite.database import Database
from app.adapters.sqlite.disk_space import DiskSpace
from app.adapters.sqlite.faults import fault_of
from app.core.errors import CorruptStateError
from app.core.text.words import normalize
from app.telemetry.labels import Fault
from app.telemetry.stats import Stats


class CannotOpen(OSError):
    """The database file cannot be opened; the message names the setting and the reason."""


@asynccontextmanager
async def open_database(path: str, stats: Stats) -> AsyncIterator[Database]:
    """Open the file, migrate its tables, and run the writer while the context lasts.

    Raises CorruptStateError, and CannotOpen if the path is wrong or another server has opened the file.
    """
    with _exclusively(path):
        await asyncio.to_thread(_try_to_open, path)
        # Autocommit: transactions begin where the code begins them.
        connect = partial(aiosqlite.connect, path, isolation_level=None)
        space = DiskSpace(path)
        async with connect() as writer, connect() as reader, connect() as searcher:
            with explaining(path):
                await _prepare_in_space(writer, space)
            await space.reserve()
            for connection in (reader, searcher):
                await connection.execute("PRAGMA query_only = ON")
            await searcher.create_function("normalise", 1, normalize, deterministic=True)
            database = Database(writer, reader, searcher, path, stats, space)
            # No TaskGroup: it would wrap exceptions of the context's body. The writer handles every failure itself.
            tasks = [asyncio.create_task(work()) for work in (database.run_writer, database.run_healing)]
            try:
                yield database
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await asyncio.to_thread(space.delete_ballast)


@contextmanager
def explaining(path: str) -> Iterator[None]:
    """Convert SQLite's errors about an unusable file to CorruptStateError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if fault_of(error) is Fault.FULL:
            raise CannotOpen(f"NEWS_DATABASE={path!r}: {error}") from error
        raise CorruptStateError(f"{path} cannot be used as a database: {error}") from error


def _try_to_open(path: str) -> None:
    """Check that the file can be opened: if that failed inside aiosqlite, its thread would outlive the event loop."""
    try:
        sqlite3.connect(path).close()
    except sqlite3.OperationalError as error:
        raise CannotOpen(f"NEWS_DATABASE={path!r}: {error}") from error


@contextmanager
def _exclusively(path: str) -> Iterator[None]:
    """Hold the lock beside the file: two servers would assign the same seq twice. The lock ends with the process."""
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


async def _prepare_in_space(writer: aiosqlite.Connection, space: DiskSpace) -> None:
    """Prepare the file. On a full disk, first delete the ballast that a killed server has left."""
    try:
        await _prepare(writer)
    except sqlite3.Error as error:
        if fault_of(error) is not Fault.FULL:
            raise
        await asyncio.to_thread(space.delete_ballast)
        await _prepare(writer)


async def _prepare(writer: aiosqlite.Connection) -> None:
    await writer.execute("PRAGMA busy_timeout = 5000")
    # Has an effect only in a new file: free pages can be returned to a full disk.
    await writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
    await writer.execute("PRAGMA journal_mode = WAL")
    await writer.execute("PRAGMA synchronous = FULL")
    await schema.migrate(writer)
