"""Check what the settings name, as a start would, without starting anything and without changing a file."""

import os
from pathlib import Path

from app.adapters.http.server import resolve
from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.adapters.sqlite.backup import check, is_for_samples
from app.adapters.sqlite.opening import refuse_mixing
from app.adapters.system.clock import SystemClock
from app.adapters.tokens.choice import create_verifier
from app.config import Settings
from app.flows.connections.revocations import Revocations
from app.limit_settings import build_limits
from app.options import MEMORY, InvalidSetting
from app.serve import explaining_samples
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
    resolve(settings.host, settings.port)
    if settings.database != MEMORY:
        _check_database(settings)


def _check_database(settings: Settings) -> None:
    path = Path(settings.database)
    if not path.exists():
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise InvalidSetting("database", settings.database, "must be in an existing folder that can be written to")
        return
    if check(path).items:
        with explaining_samples(settings):
            refuse_mixing(is_marked=is_for_samples(path), is_sample=settings.sample_wire)
