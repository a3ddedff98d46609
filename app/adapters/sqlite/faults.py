"""Classify SQLite's errors, and map each class to the error that a caller gets."""

import structlog

from app.core.errors import ErrorCode, ServerError
from app.telemetry.labels import Fault

_MEANINGS = {
    Fault.FULL: (ErrorCode.STORAGE_FULL, ""),
    Fault.BUSY: (ErrorCode.OVERLOADED, "Another program has locked the database"),
    Fault.FILE: (
        ErrorCode.OVERLOADED,
        "The database file was removed, replaced or truncated: nothing is stored until the server is restarted",
    ),
    Fault.CORRUPT: (ErrorCode.INTERNAL, "A part of the database file is damaged: restore it from a backup"),
    Fault.SYNC: (
        ErrorCode.INTERNAL,
        "The disk failed to store data: nothing is stored until the server is restarted",
    ),
}
_RETRY_AFTER_S = {Fault.FULL: 30.0, Fault.BUSY: 2.0, Fault.SYNC: 30.0, Fault.FILE: 30.0}
# The class of an error, by the start of its SQLite error name. The first entry that matches counts, so a longer prefix
# comes before a shorter one.
_FAULTS = {
    "SQLITE_BUSY": Fault.BUSY,
    "SQLITE_LOCKED": Fault.BUSY,
    "SQLITE_FULL": Fault.FULL,
    # The shared-memory index of the write-ahead log could not grow, because the disk is full.
    "SQLITE_IOERR_SHMSIZE": Fault.FULL,
    "SQLITE_IOERR_FSYNC": Fault.SYNC,
    "SQLITE_IOERR_DIR_FSYNC": Fault.SYNC,
    "SQLITE_IOERR": Fault.IO,
    "SQLITE_CORRUPT": Fault.CORRUPT,
    "SQLITE_NOTADB": Fault.CORRUPT,
    "SQLITE_CONSTRAINT": Fault.CONSTRAINT,
}

_log = structlog.get_logger("sqlite")


class DatabaseFileLost(Exception):
    """The database file was removed, replaced or truncated: what was just committed will not be found again."""


def fault_of(error: BaseException) -> Fault:
    """Return the class of an error. It is `Fault.OTHER` for an error that is not from SQLite, or whose SQLite error
    name matches no prefix in `_FAULTS`.
    """
    if isinstance(error, DatabaseFileLost):
        return Fault.FILE
    name = getattr(error, "sqlite_errorname", "")
    return next((fault for prefix, fault in _FAULTS.items() if name.startswith(prefix)), Fault.OTHER)


def refusal_for(fault: Fault) -> ServerError:
    """Return the error that a caller gets for a fault. Its code is STORAGE_FULL for a full disk, OVERLOADED if another
    program has locked the database, and INTERNAL for any other fault.
    """
    return ServerError(*_MEANINGS.get(fault, (ErrorCode.INTERNAL, "")), retry_after_s=_RETRY_AFTER_S.get(fault))


def explain(error: Exception) -> ServerError:
    """Log the error of an operation, and return the ServerError for the operation's caller. An error that is already a
    ServerError is returned unchanged and is not logged.
    """
    if isinstance(error, ServerError):
        return error
    fault = fault_of(error)
    _log.error("database_failed", kind=fault.value, error=str(error), error_type=type(error).__name__)
    return refusal_for(fault)
