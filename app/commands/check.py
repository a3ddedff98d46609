"""Check what the settings name, as a start would, without starting anything and without changing a file."""

import os
import socket
from pathlib import Path

from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.adapters.sqlite.backup import check, is_for_samples
from app.adapters.system.clock import SystemClock
from app.adapters.tokens.choice import create_verifier
from app.config import Settings
from app.flows.connections.revocations import Revocations
from app.limit_settings import build_limits
from app.options import MEMORY, InvalidSetting
from app.telemetry.stats import Stats
from app.wiring import read_files


def check_settings(settings: Settings) -> None:
    """Read every file that the settings name, and check keys, addresses and the database.

    Raises InvalidSetting, InvalidFeedsFile, OSError and CorruptStateError, as the start would. A port that is in use is
    no error, because it may be that of the server whose configuration is checked.
    """
    build_limits(settings)
    read_files(settings)
    clock = SystemClock()
    create_verifier(settings, Revocations(MemoryRevocationStore(), clock), clock, Stats())
    try:
        socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OSError(f"NEWS_HOST={settings.host!r}: {error.strerror}") from error
    if settings.database != MEMORY:
        _check_database(settings)


def _check_database(settings: Settings) -> None:
    path = Path(settings.database)
    if not path.exists():
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise InvalidSetting("database", settings.database, "must be in an existing folder that can be written to")
        return
    contents = check(path)
    if contents.items and is_for_samples(path) is not settings.sample_wire:
        kind = "news that are no samples" if settings.sample_wire else "sample news"
        raise InvalidSetting("database", settings.database, f"holds {kind}: name another file")
