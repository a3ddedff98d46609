"""The database file as the server opened it: a lock on it, and whether it is still the file at its path.

The lock is on the file itself, so a second server is refused by whatever name it opens the file. If the file is
removed or replaced while the server runs, SQLite goes on with the file that it has open, which no path leads to: what
it stores there is lost at the next restart. If the file is truncated, its contents are lost already.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.adapters.sqlite.mark import MarkFile

CHECK_FILE = "SELECT check_database_file()"
"""The statement that calls `DatabaseFile.check` in SQLite's thread, because a look at the file may block."""


class DatabaseFile:
    """The open and locked database file, and its write-ahead log. `is_lost` becomes True if a check finds that one of
    them was removed, replaced or truncated. `mark` tells the next server whether the file was put back meanwhile.
    """

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = Path(path)
        self._descriptor = descriptor
        self._wal = Path(f"{path}-wal")
        self._wal_inode: int | None = None
        self._least_bytes = 0
        self.is_lost = False
        self.mark = MarkFile(path)

    def check(self) -> None:
        """Look at the files, and set `is_lost` if they are not those that were opened, or have shrunk."""
        self.is_lost = self.is_lost or not self._is_intact()

    def _is_intact(self) -> bool:
        try:
            found, opened, wal_inode = self._path.stat(), os.fstat(self._descriptor), self._wal.stat().st_ino
        except OSError:
            return False
        if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino) or found.st_size < self._least_bytes:
            return False
        self._least_bytes = found.st_size
        self._wal_inode = self._wal_inode or wal_inode
        return wal_inode == self._wal_inode

    def expect_shrinking(self) -> None:
        """Accept any size at the next check, because the server itself shrinks the file."""
        self._least_bytes = 0


def open_private(path: str) -> int:
    """Open a file, and return its descriptor. A new file can be read and written by its owner only. SQLite gives its
    own files beside the database the permissions of the database.
    """
    return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)


@contextmanager
def locked(path: str) -> Iterator[int]:
    """Open and lock a file while the context lasts, and yield its descriptor. If the process is killed, the kernel
    releases the lock. Raises BlockingIOError if another process has the lock, and OSError if the file cannot be opened.

    SQLite's own locks on the database file end when any descriptor of it is closed in this process. So the descriptor
    of that file must be closed after SQLite has closed the file.
    """
    descriptor = open_private(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)
