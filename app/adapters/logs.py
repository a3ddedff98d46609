"""Structured logging. This file owns how a log line looks: one JSON object, static event names, values as fields."""

import logging
import sys
from collections.abc import Callable

import structlog

from app.config import LogFormat, LogLevel


def set_up_logging(level: LogLevel, form: LogFormat, count: Callable[[str], None] = lambda _level: None) -> None:
    """Send structlog's events, and the warnings of libraries, to standard error in one form.

    `count` is called with the level of every line.
    """

    def counted(_logger: object, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        count(method)
        return event

    shared: list[structlog.types.Processor] = [
        counted,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    # ASCII escapes keep a hostile value on its own line.
    render: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if form is LogFormat.JSON else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[_name_logger, *shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level.value),
        logger_factory=_Named,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=[_name_foreign, *shared])
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # What it would say is a traceback a malformed request; what our handlers raise is logged at our own edge.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


class _Named(structlog.PrintLogger):
    """A line on standard error, by a logger that knows its name."""

    def __init__(self, name: str = "app") -> None:
        super().__init__(sys.stderr)
        self.name = name


def _name_logger(logger: _Named, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {"logger": logger.name, **event}


def _name_foreign(logger: logging.Logger, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {"logger": logger.name, **event}
