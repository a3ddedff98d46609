"""The command line: each command is a module of `app.commands`.

Exit codes: 0 success · 1 failure · 2 invalid arguments or settings · 3 the database is corrupt or from a newer release
· 130 interrupted by Ctrl-C.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress

from app import __version__
from app.commands.clients import add_listen, add_publish
from app.commands.database import add_backup, add_restore
from app.commands.exits import INTERRUPTED
from app.commands.serve import add_config, add_serve
from app.commands.token import add_token


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
    add_serve(commands.add_parser("serve", help="run the server"))
    add_publish(commands.add_parser("publish", help="publish items to a server"))
    add_listen(commands.add_parser("listen", help="print items as they arrive"))
    add_token(commands.add_parser("token", help="print a token signed with NEWS_JWT_SECRET"))
    add_config(commands.add_parser("config", help="check the settings"))
    add_backup(commands.add_parser("backup", help="copy the database into a file, also while a server runs"))
    add_restore(commands.add_parser("restore", help="replace the database by a backup"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
