"""How SQLite fails. This file owns what its errors are called here, and what each means to a caller."""

import structlog

from app.core.errors import ErrorCode, ServerError
from app.telemetry.labels import Fault

_MEANINGS = {
    Fault.FULL: (ErrorCode.STORAGE_FULL, ""),
    Fault.BUSY: (ErrorCode.OVERLOADED, "Another program holds the database"),
    Fault.SYNC: (
        ErrorCode.INTERNAL,
        "The disk did not keep what was written: nothing is stored until the server is restarted",
    ),
}
_RETRY_AFTER_S = {Fault.FULL: 30.0, Fault.BUSY: 2.0, Fault.SYNC: 30.0}
# The first that fits counts.
_FAULTS = {
    "SQLITE_BUSY": Fault.BUSY,
    "SQLITE_LOCKED": Fault.BUSY,
    "SQLITE_FULL": Fault.FULL,
    # The index of the write-ahead log could not grow.
    "SQLITE_IOERR_SHMSIZE": Fault.FULL,
    "SQLITE_IOERR_FSYNC": Fault.SYNC,
    "SQLITE_IOERR_DIR_FSYNC": Fault.SYNC,
    "SQLITE_IOERR": Fault.IO,
    "SQLITE_CONSTRAINT": Fault.CONSTRAINT,
}

_log = structlog.get_logger("sqlite")


def fault_of(error: BaseException) -> Fault:
    """Name a failure."""
    name = getattr(error, "sqlite_errorname", "")
    return next((fault for prefix, fault in _FAULTS.items() if name.startswith(prefix)), Fault.OTHER)


def refusal_for(fault: Fault) -> ServerError:
    """Give what a caller is told."""
    return ServerError(*_MEANINGS.get(fault, (ErrorCode.INTERNAL, "")), retry_after_s=_RETRY_AFTER_S.get(fault))


def explain(error: Exception) -> ServerError:
    """Say to a caller what a failure means; what exactly it was is in the log."""
    if isinstance(error, ServerError):
        return error
    fault = fault_of(error)
    _log.error("database_failed", kind=fault.value, error=str(error), error_type=type(error).__name__)
    return refusal_for(fault)
