"""`polyfloat-news publish` and `polyfloat-news listen`: the clients of a server."""

import argparse
import asyncio
import os
import sys
from functools import partial

from app.client.listen import ConnectionRefused, as_line, listen
from app.client.publish import PublishFailed, publish_file
from app.client.server import check_address
from app.commands.exits import FAILED, WRONG, complain
from app.options import PREFIX


def add_publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="NDJSON or one JSON item; - reads standard input")
    _add_server(parser)
    parser.set_defaults(run=_publish)


def add_listen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="user id; without filters the user's stored filter decides")
    parser.add_argument("--category", action="append", default=[], help="only this category (may be repeated)")
    parser.add_argument("--keyword", action="append", default=[], help="only with this keyword (may be repeated)")
    parser.add_argument("--ticker", action="append", default=[], help="only with this ticker (may be repeated)")
    parser.add_argument("--min-impact", type=int, help="only with at least this impact, 0 to 100")
    parser.add_argument("--json", action="store_true", help="print every message as JSON")
    _add_server(parser)
    parser.set_defaults(run=_listen)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token", default=os.environ.get(f"{PREFIX}TOKEN"), help=f"a token ({PREFIX}TOKEN)")
    default = os.environ.get(f"{PREFIX}URL", "http://127.0.0.1:8000")
    parser.add_argument("--server", default=default, help=f"address of the server ({PREFIX}URL; {default})")


def _publish(arguments: argparse.Namespace) -> int:
    try:
        server = _server(arguments)
        new = asyncio.run(publish_file(arguments.file, server, arguments.token))
    except ValueError as error:
        return complain(error, WRONG)
    except OSError as error:
        return complain(f"{arguments.file}: {error.strerror}", FAILED)
    except PublishFailed as error:
        return complain(error, FAILED)
    sys.stdout.write(f"{new} new\n")
    return 0


def _listen(arguments: argparse.Namespace) -> int:
    lists = {"categories": arguments.category, "keywords": arguments.keyword, "tickers": arguments.ticker}
    filters: dict[str, object] = {key: value for key, value in lists.items() if value}
    if filters or arguments.min_impact is not None:
        filters["impact_threshold"] = arguments.min_impact or 0
    try:
        show, warn = partial(_show, as_json=arguments.json), partial(complain, code=FAILED)
        asyncio.run(listen(_server(arguments), arguments.user, filters, show, warn, arguments.token))
    except ValueError as error:
        return complain(error, WRONG)
    except ConnectionRefused as error:
        return complain(error, FAILED)
    return 0


def _server(arguments: argparse.Namespace) -> str:
    """Return the address of the server without a slash at its end. Raises ValueError if it is not an address."""
    try:
        return check_address(arguments.server)
    except ValueError as error:
        raise ValueError(f"--server or {PREFIX}URL: {error}") from None


def _show(message: bytes, *, as_json: bool) -> None:
    line = message.decode() if as_json else as_line(message)
    if line is not None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
