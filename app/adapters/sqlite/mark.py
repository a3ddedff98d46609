"""Find out at the start whether the database file was put back from a backup while no server ran.

Such a file lacks the newest items, and would give their seqs to other items. So its log must get a new epoch.

The mark is a small file beside the database. It has the id of the last start of a server, and the newest seq. The
database has that id too. In a file that was put back, the id is an earlier one, or the newest seq is lower than that of
the mark. If mark and database are put back together, this cannot be noticed.
"""

import asyncio
import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple

import aiosqlite
import structlog

_FORM = re.compile(rb"([0-9a-f]{16}) ([0-9]{20})\n")

_log = structlog.get_logger("mark")


class Mark(NamedTuple):
    """The contents of a mark: the id of the last start, and the newest seq within the last second of that run."""

    start_id: str
    head: int

    def __bytes__(self) -> bytes:
        return f"{self.start_id} {self.head:020d}\n".encode()


class LogIdentity(NamedTuple):
    """What a database says about its log: the ids of the last start and the one before, and the newest seq.

    The ids are None in a database that no server with marks has opened yet.
    """

    start_id: str | None
    previous_start_id: str | None
    head: int


def was_put_back(found: LogIdentity, mark: Mark | None) -> bool:
    """Return whether a database is not the one that the mark was last written for, or has lost its newest items.

    The mark is written just after the database. So after a crash between the two, the mark has the previous id.
    """
    if mark is None:
        # The file was moved to another place without its mark, or a copy of it.
        return found.start_id is not None
    return mark.start_id not in (found.start_id, found.previous_start_id) or found.head < mark.head


class MarkFile:
    """The mark beside the database at `path`. `head` is to be set to the newest seq whenever that changes."""

    def __init__(self, path: str) -> None:
        self._path = mark_path(path)
        self._start_id = ""
        self._saved_head = 0
        self.head = 0

    async def recognize(self, connection: aiosqlite.Connection) -> None:
        """Give the log a new epoch if the database was put back. Then begin a new run: store a new id of a start in the
        database and the mark. Raises sqlite3.Error.
        """
        found = await _read_identity(connection)
        mark = await asyncio.to_thread(self._read)
        epoch = secrets.token_hex(4) if was_put_back(found, mark) else None
        if epoch is not None and found.head:
            _log.warning(
                "log_put_back",
                epoch=epoch,
                sequence=found.head,
                newest_sequence=mark.head if mark is not None else None,
                detail="the database is not the one of the last run: clients that resume are told of a gap",
            )
        self._start_id, self.head = secrets.token_hex(8), found.head
        await connection.execute(
            "UPDATE log_identity SET epoch = coalesce(?, epoch), previous_start_id = start_id, start_id = ?",
            (epoch, self._start_id),
        )
        await asyncio.to_thread(self._create)

    def save(self) -> None:
        """Store `head` if it has changed. Blocks. An error is logged: the mark then proves less."""
        head = self.head
        if head == self._saved_head:
            return
        try:
            # In place, so that a power loss leaves the old contents or the new ones.
            with self._path.open("r+b") as file:
                file.write(bytes(Mark(self._start_id, head)))
        except FileNotFoundError:
            self._create()
        except OSError as error:
            _log.warning("mark_not_saved", error=str(error))
        else:
            self._saved_head = head

    def _read(self) -> Mark | None:
        """Return the mark, or None if there is none or it is not a mark."""
        try:
            found = _FORM.fullmatch(self._path.read_bytes())
        except OSError:
            return None
        return Mark(found[1].decode(), int(found[2])) if found else None

    def _create(self) -> None:
        try:
            _replace(self._path, bytes(Mark(self._start_id, self.head)))
            self._saved_head = self.head
        except OSError as error:
            _log.warning("mark_not_saved", error=str(error))


def mark_path(database: str) -> Path:
    """Return the path of the mark of a database; `database` is the path of the file itself, not of a link to it."""
    return Path(f"{database}.mark")


async def _read_identity(connection: aiosqlite.Connection) -> LogIdentity:
    [(start_id, previous_start_id)] = await connection.execute_fetchall(
        "SELECT start_id, previous_start_id FROM log_identity"
    )
    [(head,)] = await connection.execute_fetchall("SELECT coalesce(max(seq), 0) FROM news_log")
    return LogIdentity(start_id, previous_start_id, head)


def _replace(path: Path, contents: bytes) -> None:
    """Write a small file so that it has either its old contents or the new ones, whatever happens."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, contents)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
