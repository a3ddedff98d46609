"""The command line: serve · publish · listen · token. This file owns its arguments and exit codes.

Exit codes: 0 done · 1 failed · 2 wrong arguments or settings · 3 the database is damaged.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import structlog
import uvloop

from app import __version__
from app.adapters.sources.rss.config import InvalidFeedsFile
from app.adapters.system.clock import SystemClock
from app.adapters.system.gc_tuning import tune_garbage_collector
from app.adapters.system.logs import set_up_logging
from app.adapters.tokens.signing import sign
from app.client.listen import ConnectionRefused, as_line, listen
from app.client.publish import PublishFailed, publish_file
from app.config import OPTIONS, PREFIX, SECRETS, InvalidSetting, Settings, read_settings, unknown_variables
from app.core.access.entitlement import parse_entitlement
from app.core.access.identity import MAX_TOKEN_LIFETIME_S, Scope
from app.core.errors import ClientError, CorruptStateError
from app.core.validation.strict_json import decode_object
from app.telemetry.stats import Stats
from app.wiring import Listening, serve

FAILED, WRONG, DAMAGED = 1, 2, 3

_log = structlog.get_logger("main")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    given = _parser().parse_args(arguments)
    with suppress(KeyboardInterrupt):
        return int(given.run(given))
    return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="polyfloat-news", description="News to traders' terminals in milliseconds.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_serve(commands.add_parser("serve", help="run the server"))
    _add_publish(commands.add_parser("publish", help="publish items to a server"))
    _add_listen(commands.add_parser("listen", help="print items as they arrive"))
    _add_token(commands.add_parser("token", help="print a token that is signed with NEWS_JWT_SECRET"))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    for name, option in OPTIONS.items():
        wanted = f"{option.help} ({option.wanted}; {PREFIX}{name.upper()})"
        # A flag may stand alone: --sample-wire is --sample-wire 1.
        nargs = "?" if option.wanted == "0 or 1" else None
        parser.add_argument(f"--{name.replace('_', '-')}", help=wanted, nargs=nargs, const="1" if nargs else None)
    parser.add_argument("--print-config", action="store_true", help="print the settings that result, and stop")
    parser.set_defaults(run=_serve)


def _add_publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="NDJSON or one JSON item; - reads standard input")
    _add_server(parser)
    parser.set_defaults(run=_publish)


def _add_listen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="user id; without filters the user's stored filter decides")
    parser.add_argument("--category", action="append", default=[], help="only this category (may be repeated)")
    parser.add_argument("--keyword", action="append", default=[], help="only with this keyword (may be repeated)")
    parser.add_argument("--ticker", action="append", default=[], help="only with this ticker (may be repeated)")
    parser.add_argument("--min-impact", type=int, help="only from this impact on, 0 to 100")
    parser.add_argument("--json", action="store_true", help="print every message as it is")
    _add_server(parser)
    parser.set_defaults(run=_listen)


def _add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="whom it speaks for")
    scopes = [scope.value for scope in Scope]
    parser.add_argument("--scope", action="append", default=[], choices=scopes, help="what it allows (may be repeated)")
    parser.add_argument(
        "--hours", type=float, default=1.0, help=f"for how long; {MAX_TOKEN_LIFETIME_S / 3600:g} at most; 1"
    )
    parser.add_argument("--ent", default="", help="what it lets its bearer see, as JSON (docs/protocol.md)")
    parser.set_defaults(run=_token)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token", default=os.environ.get(f"{PREFIX}TOKEN"), help=f"a token ({PREFIX}TOKEN)")
    default = os.environ.get(f"{PREFIX}URL", "http://127.0.0.1:8000")
    parser.add_argument("--server", default=default, help=f"where the server is ({PREFIX}URL; {default})")


def _serve(given: argparse.Namespace) -> int:
    try:
        chosen = {name: value for name in OPTIONS if (value := getattr(given, name)) is not None}
        settings = read_settings(os.environ, chosen)
        if given.print_config:
            _print_config(settings)
        else:
            _run_server(settings)
    except (InvalidSetting, InvalidFeedsFile) as error:
        return _complain(error, WRONG)
    except CorruptStateError as error:
        return _complain(error, DAMAGED)
    except (OSError, asyncio.CancelledError) as error:
        return _complain(str(error) or "stopped before everything was drained", FAILED)
    except ExceptionGroup:
        # A worker failed: broken inside state stops the server loudly.
        _log.exception("worker_failed")
        return FAILED
    return 0


def _run_server(settings: Settings) -> None:
    stats = Stats()
    set_up_logging(settings.log_level, settings.log_format, SystemClock().monotonic, stats.line_logged)
    for name in unknown_variables(os.environ):
        _log.warning("unknown_setting", name=name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_until_signalled(settings, stats))


async def _serve_until_signalled(settings: Settings, stats: Stats) -> None:
    """Serve until SIGTERM or SIGINT; a second one stops at once."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()

    def stop() -> None:
        if stopping.is_set() and serving is not None:
            serving.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await serve(settings, stopping, lambda listening: _announce(settings, listening), stats)


def _announce(settings: Settings, listening: Listening) -> None:
    tune_garbage_collector()
    _log.info("serving", **listening._asdict(), database=settings.database, sample_wire=settings.sample_wire)
    if settings.allow_anonymous:
        _log.warning("anonymous_access", detail="everyone who reaches this server can read, publish and subscribe")


def _publish(given: argparse.Namespace) -> int:
    try:
        new = asyncio.run(publish_file(given.file, given.server, given.token))
    except (PublishFailed, OSError) as error:
        return _complain(error, FAILED)
    sys.stdout.write(f"{new} new\n")
    return 0


def _listen(given: argparse.Namespace) -> int:
    wishes = {"categories": given.category, "keywords": given.keyword, "tickers": given.ticker}
    filters: dict[str, object] = {key: value for key, value in wishes.items() if value}
    if filters or given.min_impact is not None:
        filters["impact_threshold"] = given.min_impact or 0
    try:
        show = partial(_show, as_json=given.json)
        asyncio.run(listen(given.server, given.user, filters, show, given.token))
    except ConnectionRefused as error:
        return _complain(error, FAILED)
    return 0


def _ent(text: str) -> object:
    """Read the claim, and let nobody be given a token that no server takes. Raises ValueError."""
    if not text:
        return None
    try:
        claim = decode_object(text.encode(errors="replace"))
        parse_entitlement(claim)
    except ClientError as error:
        where = "".join(f"; {bad.pointer} {bad.detail}" for bad in error.fields)
        raise ValueError(f"--ent: {error.detail}{where}") from None
    return claim


def _token(given: argparse.Namespace) -> int:
    try:
        settings = read_settings(os.environ, {})
        if not settings.jwt_secret:
            raise InvalidSetting("jwt_secret", "", "the secret that the server checks tokens with")
        if not 0 < given.hours <= MAX_TOKEN_LIFETIME_S / 3600:
            raise ValueError(f"--hours {given.hours:g}: want more than 0, and {MAX_TOKEN_LIFETIME_S / 3600:g} at most")
        now, life_s = SystemClock().wall(), given.hours * 3600
        more: dict[str, object] = {"aud": settings.jwt_audience, "iss": settings.jwt_issuer, "ent": _ent(given.ent)}
        said = {name: value for name, value in more.items() if value not in (None, "")}
        token = sign(settings.jwt_secret, given.user, given.scope, now, life_s, said)
    except ValueError as error:
        return _complain(error, WRONG)
    sys.stdout.write(f"{token}\n")
    return 0


def _show(message: bytes, *, as_json: bool) -> None:
    line = message.decode() if as_json else as_line(message)
    if line is not None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _print_config(settings: Settings) -> None:
    for name in unknown_variables(os.environ):
        sys.stderr.write(f"polyfloat-news: {name} is not a setting\n")
    for name in OPTIONS:
        shown = _as_text(getattr(settings, name))
        sys.stdout.write(f"{PREFIX}{name.upper()}={'…' if shown and name in SECRETS else shown}\n")


def _as_text(value: object) -> str:
    """Write a setting as its variable would hold it."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, dict):
        return ",".join(f"{name}={number:g}" for name, number in value.items())
    if value is None:
        return ""
    return str(int(value) if isinstance(value, bool) else value).replace("\n", "\\n")


def _complain(error: object, code: int) -> int:
    sys.stderr.write(f"polyfloat-news: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
