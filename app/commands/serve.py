"""`polyfloat-news serve`: run the server until it is told to stop."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable

import structlog
import uvloop

from app.adapters.sources.rss.config import InvalidFeedsFile
from app.adapters.system.clock import SystemClock
from app.adapters.system.gc_tuning import tune_garbage_collector
from app.adapters.system.logs import set_up_logging
from app.adapters.system.service_manager import notify
from app.adapters.system.thread_switching import let_threads_run_soon
from app.commands.check import check_settings
from app.commands.exits import CORRUPT, FAILED, WRONG, complain
from app.config import Settings, read_settings, unknown_variables
from app.core.errors import CorruptStateError
from app.options import OPTIONS, SECRETS, InvalidSetting, variable
from app.reload import Reloader
from app.serve import Listening, serve
from app.telemetry.stats import Stats

_log = structlog.get_logger("main")


def add_serve(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--print-config", action="store_true", help="print the resulting settings and exit")
    parser.set_defaults(run=_serve)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for every setting that may be one."""
    for name, option in OPTIONS.items():
        if option.only_as_variable:
            continue
        must_be = option.value.must_be
        # A boolean setting needs no value: --sample-wire means --sample-wire 1.
        nargs = "?" if must_be == "0 or 1" else None
        text = f"{option.help} ({must_be}; {variable(name)})"
        parser.add_argument(f"--{name.replace('_', '-')}", help=text, nargs=nargs, const="1" if nargs else None)


def add_config(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="command")
    check = commands.add_parser("check", help="check the settings and what they name, and start nothing")
    add_options(check)
    check.set_defaults(run=_check)


def _serve(arguments: argparse.Namespace) -> int:
    def start() -> None:
        settings = _read(arguments)
        if arguments.print_config:
            _print_config(settings)
            check_settings(settings)
        else:
            _run_server(settings, lambda: _read(arguments))

    return _explained(start)


def _check(arguments: argparse.Namespace) -> int:
    def check() -> None:
        settings = _read(arguments)
        check_settings(settings)
        sys.stdout.write(f"{settings.config or 'The configuration'} is valid\n")

    return _explained(check)


def _read(arguments: argparse.Namespace) -> Settings:
    chosen = {name: value for name in OPTIONS if (value := getattr(arguments, name, None)) is not None}
    return read_settings(os.environ, chosen)


def _explained(run: Callable[[], None]) -> int:
    """Call a function, and return the exit code that stands for its exception; the exception is explained in words."""
    try:
        run()
    except (InvalidSetting, InvalidFeedsFile) as error:
        return complain(error, WRONG)
    except CorruptStateError as error:
        return complain(error, CORRUPT)
    except (OSError, asyncio.CancelledError) as error:
        return complain(str(error) or "stopped before shutdown was complete", FAILED)
    except ExceptionGroup:
        # A background task failed. The server has stopped, because its internal state may be corrupt.
        _log.exception("worker_failed")
        return FAILED
    return 0


def _run_server(settings: Settings, read: Callable[[], Settings]) -> None:
    stats = Stats()
    set_up_logging(settings.log_level, settings.log_format, SystemClock().monotonic, stats.server.record_log_line)
    for name, hint in unknown_variables(os.environ).items():
        _log.warning("unknown_setting", name=name, detail=f"is not a setting, and is ignored{hint}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_until_signalled(settings, read, stats))


async def _serve_until_signalled(settings: Settings, read: Callable[[], Settings], stats: Stats) -> None:
    """Serve until SIGTERM or SIGINT, then shut down in order. A second signal cancels the shutdown and raises
    CancelledError.

    At SIGHUP the configuration is read again. A server that was started in a terminal shuts down instead, because the
    signal means that the terminal is gone.
    """
    reloader = Reloader(settings, read)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()

    def stop() -> None:
        if stopping.is_set() and serving is not None:
            serving.cancel()
        stopping.set()
        notify("STOPPING=1")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # Checked now: once the terminal is gone, isatty() returns False.
    is_in_terminal = sys.stdin is not None and sys.stdin.isatty()
    loop.add_signal_handler(signal.SIGHUP, stop if is_in_terminal else reloader.request)
    await serve(settings, stopping, lambda listening: _announce(settings, listening), stats, reloader)


def _announce(settings: Settings, listening: Listening) -> None:
    tune_garbage_collector()
    let_threads_run_soon()
    notify("READY=1")
    _log.info("serving", **listening._asdict(), database=settings.database, sample_wire=settings.sample_wire)
    if settings.allow_anonymous:
        _log.warning("anonymous_access", detail="anyone who reaches this server can read, publish and subscribe")


def _print_config(settings: Settings) -> None:
    for name, hint in unknown_variables(os.environ).items():
        complain(f"{name} is not a setting, and is ignored{hint}", WRONG)
    for name in OPTIONS:
        text = _as_text(getattr(settings, name))
        sys.stdout.write(f"{variable(name)}={'…' if text and name in SECRETS else text}\n")


def _as_text(value: object) -> str:
    """Return the value of a setting as the text that its NEWS_* variable would contain."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, dict):
        return ",".join(f"{name}={number:g}" for name, number in value.items())
    if value is None:
        return ""
    return str(int(value) if isinstance(value, bool) else value).replace("\n", "\\n")
