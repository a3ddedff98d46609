"""Configure structured logging: one line for each event, with a static event name and with values as fields."""

import logging
import sys
from collections import Counter
from collections.abc import Callable

import structlog

from app.core.rate_limiter import KeyedRateLimiter
from app.options import LogFormat, LogLevel

# For warnings and errors with the same event name: the number that may be logged in a burst, and then the number per
# second.
BURST_LINES, LINES_PER_S = 20, 1.0
# Events that are no warnings, but that clients can cause at any rate.
_LIMITED = frozenset({"request_refused"})


def set_up_logging(
    level: LogLevel, form: LogFormat, monotonic: Callable[[], float], count: Callable[[str], None] = lambda _level: None
) -> None:
    """Configure logging: structlog's events, and the warnings and errors of libraries, go to standard error in the same
    format.

    `count` is called with the level of every line, also for a warning or error that is dropped because there are too
    many with its event name.
    """

    def counted(_logger: object, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        count(method)
        return event

    shared: list[structlog.types.Processor] = [
        counted,
        _WarningLimiter(monotonic),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    # The JSON renderer escapes control and non-ASCII characters, so that a hostile value stays on one line.
    render: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if form is LogFormat.JSON else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[_name_logger, *shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level.value),
        logger_factory=_NamedLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=[_name_foreign, *shared])
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # aiohttp would log a traceback for each malformed request. The exceptions of the server's own handlers are still
    # logged, by a middleware.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


class _WarningLimiter:
    """Limits the rate of warnings and errors with the same event name, and of the events in `_LIMITED`, so that events
    that a client can trigger do not fill a disk.

    The next line that is logged with this name has a field `suppressed`, the number of lines that were dropped before
    it. Metrics count dropped lines too.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._limiter = KeyedRateLimiter(LINES_PER_S, BURST_LINES)
        self._suppressed: Counter[str] = Counter()

    def __call__(self, _logger: object, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        kind = str(event.get("event"))
        if method in ("debug", "info") and kind not in _LIMITED:
            return event
        if self._limiter.acquire(kind, self._monotonic()):
            self._suppressed[kind] += 1
            raise structlog.DropEvent
        suppressed = self._suppressed.pop(kind, 0)
        return {**event, "suppressed": suppressed} if suppressed else event


class _NamedLogger(structlog.PrintLogger):
    """A logger that writes to standard error and keeps its name for the field `logger`."""

    def __init__(self, name: str = "app") -> None:
        super().__init__(sys.stderr)
        self.name = name


def _name_logger(logger: _NamedLogger, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {"logger": logger.name, **event}


def _name_foreign(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Add the field `logger` to a log record that did not come from structlog."""
    return {"logger": event["_record"].name, **event}
