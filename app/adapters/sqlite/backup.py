"""Copy the database into a file, also while a server runs, and replace the database by such a copy.

A restored log gets a new epoch, because items after the backup are lost, and their seqs will be given to other items.
"""

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from app.adapters.sqlite import schema
from app.adapters.sqlite.database_file import locked
from app.adapters.sqlite.mark import mark_path
from app.core.errors import CorruptStateError

_BUSY_S = 10.0
_COMPANIONS = ("-wal", "-shm")


class BackupError(OSError):
    """The backup cannot be made or restored. The message says why; nothing was changed."""


class Contents(NamedTuple):
    """What a database has: the number of stored items, the newest seq and the epoch of its log."""

    items: int
    head: int
    epoch: str


def back_up(database: str, target: Path) -> Contents:
    """Copy a database into a new file, which exists only once it is complete, and return its contents. The copy has
    everything that was committed when the copying ended.

    Raises BackupError, and CorruptStateError if the database cannot be read.
    """
    _refuse_existing(target)
    with _opened(Path(database)) as source, _written(target) as temporary:
        with closing(sqlite3.connect(temporary)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        return check(temporary)


def restore(backup: Path, database: str) -> tuple[Contents, Path | None]:
    """Replace a database by a backup, with a new epoch. Return the contents, and where the replaced file was moved to,
    or None if there was none.

    Raises BackupError, also while a server has the database open, and CorruptStateError if the backup is not complete.
    """
    path = Path(os.path.realpath(database))
    with _opened(backup) as source, _kept_from_servers(path):
        with _written(path, may_exist=True) as temporary:
            check(backup)
            with closing(sqlite3.connect(temporary)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                _begin_new_log(copy)
            contents = check(temporary)
            replaced = _keep_aside(path)
        mark_path(str(path)).unlink(missing_ok=True)
    return contents, replaced


def check(path: Path) -> Contents:
    """Check that a file is a complete database of this release or an earlier one, and return its contents. Raises
    CorruptStateError.
    """
    with _opened(path) as connection:
        try:
            [(verdict,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
            if verdict != "ok":
                raise CorruptStateError(f"{path} is damaged: {verdict}")
            [(version,)] = connection.execute("PRAGMA user_version").fetchall()
            schema.check_version(version)
            [(items, head)] = connection.execute("SELECT count(*), coalesce(max(seq), 0) FROM news_log").fetchall()
            [(epoch,)] = connection.execute("SELECT epoch FROM log_identity").fetchall()
        except (sqlite3.DatabaseError, ValueError) as error:
            raise CorruptStateError(f"{path} is not a database of polyfloat-news: {error}") from error
    return Contents(items, head, epoch)


def is_for_samples(path: Path) -> bool:
    """Return whether a database that `check` accepted is for sample items."""
    with _opened(path) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(log_identity)")}
        if "is_sample" not in columns:
            return False
        [(is_sample,)] = connection.execute("SELECT is_sample FROM log_identity").fetchall()
        return bool(is_sample)


def _begin_new_log(copy: sqlite3.Connection) -> None:
    copy.execute("UPDATE log_identity SET epoch = ?", (secrets.token_hex(4),))
    columns = {row[1] for row in copy.execute("PRAGMA table_info(log_identity)")}
    if "start_id" in columns:
        # There is no mark for it yet.
        copy.execute("UPDATE log_identity SET start_id = NULL, previous_start_id = NULL")
    copy.commit()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing database for reading while the context lasts."""
    if not path.is_file():
        raise BackupError(f"{path} does not exist")
    # Without a server the write-ahead log of a killed one must be read too, for which SQLite has to write beside it.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_S)
    with closing(connection):
        yield connection


@contextmanager
def _written(target: Path, *, may_exist: bool = False) -> Iterator[Path]:
    """Yield the path of a temporary file, which becomes `target` at the end of the context, and is deleted if the
    context fails. Raises BackupError if it cannot be written.
    """
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}.new")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        yield temporary
        _sync(temporary)
        if not may_exist:
            _refuse_existing(target)
        temporary.replace(target)
        _sync(target.parent)
    except sqlite3.OperationalError as error:
        raise BackupError(f"{target}: {error}") from error
    except BackupError:
        raise
    except OSError as error:
        raise BackupError(f"{target}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise BackupError(f"{target} exists already: name a new file")


@contextmanager
def _kept_from_servers(path: Path) -> Iterator[None]:
    """Hold the locks of a server while the context lasts. Raises BackupError if a server has them."""
    try:
        with locked(f"{path}.lock"):
            if not path.exists():
                yield
                return
            with locked(str(path)):
                yield
    except BlockingIOError:
        raise BackupError(f"a server has {path} open: stop it first") from None


def _keep_aside(path: Path) -> Path | None:
    """Give a database, with its write-ahead log, a second name, so that another file can take its place. There is a
    file at `path` at every moment: after a crash a server must not start with an empty database.
    """
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.replaced-{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(2)}")
    for suffix in _COMPANIONS:
        companion = Path(f"{path}{suffix}")
        if companion.exists():
            companion.rename(f"{aside}{suffix}")
    aside.hardlink_to(path)
    return aside


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
