"""Decide which writes are allowed on a full disk, and refuse all writes after a failed fsync.

On a full disk SQLite can neither delete rows nor run a checkpoint, because both write before they free space. So a
ballast file is kept beside the database, and it is deleted when the disk is full. The space that this frees is used to
delete rows and to store cursors and revocations. All other writes are refused until there is space for the ballast and
MARGIN_BYTES more.

After a failed fsync the kernel may have dropped the data, and it reports the failure only once (fsync(2)). Even if a
later fsync succeeds, the process cannot know what is on disk. So every write is refused until the server is restarted
and reads the file again.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import structlog

from app.adapters.sqlite.faults import refusal_for
from app.core.errors import ServerError
from app.telemetry.labels import Fault, Operation

BALLAST_BYTES = 8 * 1024 * 1024
# After a full disk, all writes are allowed again only if this much is free in addition to the ballast. Otherwise the
# first item could fill the disk again.
MARGIN_BYTES = 4 * 1024 * 1024

# Operations that are allowed on a full disk, because they free space or replace small rows.
_ALWAYS = frozenset(
    {Operation.PURGE_HISTORY, Operation.DELETE_SUBSCRIPTION, Operation.SAVE_CURSOR, Operation.SAVE_REVOCATION}
)

_DISTRUST = {
    Fault.SYNC: "fsync failed: nothing is stored until the server is restarted",
    Fault.FILE: "the database file was removed, replaced or truncated: nothing is stored until the server is restarted",
}

_log = structlog.get_logger("sqlite")


class DiskSpace:
    """The state of the disk that holds the database. `is_full` means that only some writes are allowed.
    `is_distrusted` means that no write is allowed, because an fsync failed or the database file was lost.
    """

    def __init__(self, path: str) -> None:
        self._ballast = Path(f"{path}.ballast")
        self.is_full = False
        self._distrusted_for: Fault | None = None

    @property
    def is_distrusted(self) -> bool:
        return self._distrusted_for is not None

    @property
    def is_writable(self) -> bool:
        return not (self.is_full or self.is_distrusted)

    def refusal(self, operation: Operation) -> ServerError | None:
        """Return the error with which an operation is refused now, or None if the operation is allowed."""
        if self._distrusted_for is not None:
            return refusal_for(self._distrusted_for)
        if self.is_full and operation not in _ALWAYS:
            return refusal_for(Fault.FULL)
        return None

    async def record_fault(self, fault: Fault) -> None:
        """Record a fault. After a failed fsync, or if the database file was lost, the disk is marked as distrusted. A
        full disk is marked as full, and its ballast is deleted. Other faults change nothing.
        """
        if fault in _DISTRUST and not self.is_distrusted:
            self._distrusted_for = fault
            _log.critical("disk_distrusted", detail=_DISTRUST[fault])
        if fault is Fault.FULL and not self.is_full:
            self.is_full = True
            _log.error("disk_full", detail="nothing is stored until there is space again")
            await asyncio.to_thread(self.delete_ballast)

    async def reserve(self) -> None:
        """Write the ballast when the database is opened. If that fails, mark the disk as full."""
        self.is_full = not await asyncio.to_thread(self._write_ballast)
        if self.is_full:
            _log.error("disk_full", detail=f"no space for {BALLAST_BYTES} bytes beside the database")

    async def recover(self) -> None:
        """If the disk is marked as full and now has space for the ballast and MARGIN_BYTES more, write the ballast and
        allow all writes again.
        """
        if self.is_full and await asyncio.to_thread(self._reserve_with_margin):
            self.is_full = False
            _log.info("disk_recovered")

    def delete_ballast(self) -> None:
        """Delete the ballast if it exists; errors of the file system are ignored."""
        with suppress(OSError):
            self._ballast.unlink(missing_ok=True)

    def _reserve_with_margin(self) -> bool:
        try:
            disk = os.statvfs(self._ballast.parent)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize >= BALLAST_BYTES + MARGIN_BYTES and self._write_ballast()

    def _write_ballast(self) -> bool:
        try:
            if self._ballast.exists() and self._ballast.stat().st_size == BALLAST_BYTES:
                return True
            # The bytes are random, because some file systems store zeros without using space.
            self._ballast.write_bytes(os.urandom(BALLAST_BYTES))
        except OSError:
            self.delete_ballast()
            return False
        return True
