"""Whether the disk takes what is written. This file owns the ballast, and when nothing more is stored.

SQLite can neither delete nor checkpoint on a full disk: both write before they free anything. So a file of no use is
kept beside the database, and given up when the disk is full: then what is too old can still go, and what devices
acknowledged can still be kept. Nothing else is stored until the ballast and some room beyond it are there again.

After a failed fsync the kernel may have dropped what it was to write, and says so once (fsync(2)): whatever a later one
says, the process cannot know what is on the disk. Only a new start reads it anew.
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
# Beyond the ballast, so that a disk that is full is not found full again by the first item.
ROOM_BYTES = 4 * 1024 * 1024

# What frees space, or is small and replaces itself.
_ALWAYS = frozenset(
    {Operation.PURGE_HISTORY, Operation.DELETE_SUBSCRIPTION, Operation.SAVE_CURSOR, Operation.SAVE_REVOCATION}
)

_log = structlog.get_logger("sqlite")


class DiskSpace:
    """The disk under the database."""

    def __init__(self, path: str) -> None:
        self._ballast = Path(f"{path}.ballast")
        self.is_full = False
        self.is_distrusted = False

    @property
    def is_writable(self) -> bool:
        return not (self.is_full or self.is_distrusted)

    def refusal(self, operation: Operation) -> ServerError | None:
        """Give why a change may not be tried now."""
        if self.is_distrusted:
            return refusal_for(Fault.SYNC)
        if self.is_full and operation not in _ALWAYS:
            return refusal_for(Fault.FULL)
        return None

    async def note(self, fault: Fault) -> None:
        """Draw the conclusion from a change that failed."""
        if fault is Fault.SYNC and not self.is_distrusted:
            self.is_distrusted = True
            _log.critical("disk_distrusted", detail="fsync failed: nothing is stored until the server is restarted")
        if fault is Fault.FULL and not self.is_full:
            self.is_full = True
            _log.error("disk_full", detail="nothing is stored until there is room again")
            await asyncio.to_thread(self.give_up)

    async def reserve(self) -> None:
        """Take the ballast at the start; a disk that has no room for it counts as full."""
        self.is_full = not await asyncio.to_thread(self._take)
        if self.is_full:
            _log.error("disk_full", detail=f"no room for {BALLAST_BYTES} bytes beside the database")

    async def recover(self) -> None:
        """Take the ballast again once there is room for it and for more."""
        if self.is_full and await asyncio.to_thread(self._take_with_room):
            self.is_full = False
            _log.info("disk_recovered")

    def give_up(self) -> None:
        """Free the ballast; a disk that does not even let go of it stays as it is."""
        with suppress(OSError):
            self._ballast.unlink(missing_ok=True)

    def _take_with_room(self) -> bool:
        try:
            disk = os.statvfs(self._ballast.parent)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize >= BALLAST_BYTES + ROOM_BYTES and self._take()

    def _take(self) -> bool:
        try:
            if self._ballast.exists() and self._ballast.stat().st_size == BALLAST_BYTES:
                return True
            # Not zeros: some file systems keep those for nothing.
            self._ballast.write_bytes(os.urandom(BALLAST_BYTES))
        except OSError:
            self.give_up()
            return False
        return True
