"""The command line, with the commands serve, publish, listen and token.

Exit codes: 0 success · 1 failure · 2 invalid arguments or settings · 3 the database is corrupt or from a newer release
· 130 interrupted by Ctrl-C.
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
from app.client.server import check_address
from app.config import OPTIONS, PREFIX, SECRETS, InvalidSetting, Settings, read_settings, unknown_variables, variable
from app.core.access.entitlement import parse_entitlement
from app.core.access.identity import MAX_TOKEN_LIFETIME_S, Scope, check_subject
from app.core.errors import ClientError, CorruptStateError
from app.core.validation.strict_json import decode_object
from app.serve import Listening, serve
from app.telemetry.stats import Stats

FAILED, WRONG, CORRUPT = 1, 2, 3
INTERRUPTED = 130

_log = structlog.get_logger("main")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the command and return its exit code.

    Raises SystemExit: with 2 for arguments that argparse rejects, and with 0 after `--help` and `--version`.
    """
    parsed = _parser().parse_args(arguments)
    with suppress(KeyboardInterrupt):
        return int(parsed.run(parsed))
    return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="polyfloat-news", description="Push news to traders' terminals over WebSockets within milliseconds."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_serve(commands.add_parser("serve", help="run the server"))
    _add_publish(commands.add_parser("publish", help="publish items to a server"))
    _add_listen(commands.add_parser("listen", help="print items as they arrive"))
    _add_token(commands.add_parser("token", help="print a token signed with NEWS_JWT_SECRET"))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    for name, option in OPTIONS.items():
        if option.only_as_variable:
            continue
        must_be = option.value.must_be
        # A boolean setting needs no value: --sample-wire means --sample-wire 1.
        nargs = "?" if must_be == "0 or 1" else None
        text = f"{option.help} ({must_be}; {variable(name)})"
        parser.add_argument(f"--{name.replace('_', '-')}", help=text, nargs=nargs, const="1" if nargs else None)
    parser.add_argument("--print-config", action="store_true", help="print the resulting settings and exit")
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
    parser.add_argument("--min-impact", type=int, help="only with at least this impact, 0 to 100")
    parser.add_argument("--json", action="store_true", help="print every message as JSON")
    _add_server(parser)
    parser.set_defaults(run=_listen)


def _add_token(parser: argparse.ArgumentParser) -> None:
    max_hours = MAX_TOKEN_LIFETIME_S / 3600
    parser.add_argument("--user", required=True, help="the user that the token identifies")
    scopes = [scope.value for scope in Scope]
    parser.add_argument("--scope", action="append", default=[], choices=scopes, help="what it allows (may be repeated)")
    parser.add_argument("--hours", type=float, default=1.0, help=f"lifetime, at most {max_hours:g} (default 1)")
    parser.add_argument("--ent", default="", help="what its bearer may see, as JSON (docs/protocol.md)")
    parser.set_defaults(run=_token)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token", default=os.environ.get(f"{PREFIX}TOKEN"), help=f"a token ({PREFIX}TOKEN)")
    default = os.environ.get(f"{PREFIX}URL", "http://127.0.0.1:8000")
    parser.add_argument("--server", default=default, help=f"address of the server ({PREFIX}URL; {default})")


def _serve(arguments: argparse.Namespace) -> int:
    try:
        chosen = {name: value for name in OPTIONS if (value := getattr(arguments, name, None)) is not None}
        settings = read_settings(os.environ, chosen)
        if arguments.print_config:
            _print_config(settings)
        else:
            _run_server(settings)
    except (InvalidSetting, InvalidFeedsFile) as error:
        return _complain(error, WRONG)
    except CorruptStateError as error:
        return _complain(error, CORRUPT)
    except (OSError, asyncio.CancelledError) as error:
        return _complain(str(error) or "stopped before shutdown was complete", FAILED)
    except ExceptionGroup:
        # A background task failed. The server has stopped, because its internal state may be corrupt.
        _log.exception("worker_failed")
        return FAILED
    return 0


def _run_server(settings: Settings) -> None:
    stats = Stats()
    set_up_logging(settings.log_level, settings.log_format, SystemClock().monotonic, stats.server.record_log_line)
    for name, hint in unknown_variables(os.environ).items():
        _log.warning("unknown_setting", name=name, detail=f"is not a setting, and is ignored{hint}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_until_signalled(settings, stats))


async def _serve_until_signalled(settings: Settings, stats: Stats) -> None:
    """Serve until SIGTERM or SIGINT, then shut down in order. A second signal cancels the shutdown and raises
    CancelledError.
    """
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
        _log.warning("anonymous_access", detail="anyone who reaches this server can read, publish and subscribe")


def _publish(arguments: argparse.Namespace) -> int:
    try:
        server = _server(arguments)
        new = asyncio.run(publish_file(arguments.file, server, arguments.token))
    except ValueError as error:
        return _complain(error, WRONG)
    except OSError as error:
        return _complain(f"{arguments.file}: {error.strerror}", FAILED)
    except PublishFailed as error:
        return _complain(error, FAILED)
    sys.stdout.write(f"{new} new\n")
    return 0


def _listen(arguments: argparse.Namespace) -> int:
    lists = {"categories": arguments.category, "keywords": arguments.keyword, "tickers": arguments.ticker}
    filters: dict[str, object] = {key: value for key, value in lists.items() if value}
    if filters or arguments.min_impact is not None:
        filters["impact_threshold"] = arguments.min_impact or 0
    try:
        show, warn = partial(_show, as_json=arguments.json), partial(_complain, code=FAILED)
        asyncio.run(listen(_server(arguments), arguments.user, filters, show, warn, arguments.token))
    except ValueError as error:
        return _complain(error, WRONG)
    except ConnectionRefused as error:
        return _complain(error, FAILED)
    return 0


def _server(arguments: argparse.Namespace) -> str:
    """Return the address of the server without a slash at its end. Raises ValueError if it is not an address."""
    try:
        return check_address(arguments.server)
    except ValueError as error:
        raise ValueError(f"--server or {PREFIX}URL: {error}") from None


def _entitlement(text: str) -> object:
    """Parse the JSON text of `--ent` and return it as the claim `ent`, or None for an empty text. Raises ValueError if
    the text is not valid JSON or not a valid claim.
    """
    if not text:
        return None
    try:
        claim = decode_object(text.encode(errors="replace"))
        parse_entitlement(claim)
    except ClientError as error:
        where = "; ".join(f"{bad.pointer} {bad.detail}".strip() for bad in error.fields)
        raise ValueError(f"--ent: {error.detail}: {where}") from None
    return claim


def _check_user(user: str) -> None:
    """Raise ValueError if the server would refuse a token for this user."""
    try:
        check_subject(user)
    except ClientError as error:
        raise ValueError(f"--user {user!r}: {error.detail.removeprefix('sub ')}") from None


def _token(arguments: argparse.Namespace) -> int:
    try:
        settings = read_settings(os.environ, {})
        if not settings.jwt_secret:
            raise InvalidSetting("jwt_secret", "", "must be set to the secret that the server verifies tokens with")
        max_hours = MAX_TOKEN_LIFETIME_S / 3600
        if not 0 < arguments.hours <= max_hours:
            raise ValueError(f"--hours {arguments.hours:g}: must be above 0 and at most {max_hours:g}")
        now, lifetime_s = SystemClock().wall(), arguments.hours * 3600
        optional: dict[str, object] = {
            "aud": settings.jwt_audience,
            "iss": settings.jwt_issuer,
            "ent": _entitlement(arguments.ent),
        }
        claims = {name: value for name, value in optional.items() if value not in (None, "")}
        _check_user(arguments.user)
        try:
            token = sign(settings.jwt_secret, arguments.user, arguments.scope, now, lifetime_s, claims)
        except ValueError as error:
            raise InvalidSetting("jwt_secret", settings.jwt_secret, str(error)) from None
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
    for name, hint in unknown_variables(os.environ).items():
        _complain(f"{name} is not a setting, and is ignored{hint}", WRONG)
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


def _complain(error: object, code: int) -> int:
    sys.stderr.write(f"polyfloat-news: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
