"""`polyfloat-news backup` and `polyfloat-news restore`: copy the database, and put a copy in its place."""

import argparse
import os
import sys
from pathlib import Path

from app.adapters.sqlite.backup import BackupError, back_up, restore
from app.commands.exits import CORRUPT, FAILED, WRONG, complain
from app.config import read_settings
from app.core.errors import CorruptStateError
from app.options import MEMORY, OPTIONS, InvalidSetting


def add_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the new file for the copy")
    _add_database(parser)
    parser.set_defaults(run=_backup)


def add_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the backup")
    _add_database(parser)
    parser.set_defaults(run=_restore)


def _add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--database", help=f"{OPTIONS['database'].help} (NEWS_DATABASE)")


def _backup(arguments: argparse.Namespace) -> int:
    try:
        contents = back_up(_database(arguments), arguments.file)
    except InvalidSetting as error:
        return complain(error, WRONG)
    except CorruptStateError as error:
        return complain(error, CORRUPT)
    except BackupError as error:
        return complain(error, FAILED)
    sys.stdout.write(f"{arguments.file}: {contents.items} items up to seq {contents.head}\n")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    try:
        database = _database(arguments)
        contents, replaced = restore(arguments.file, database)
    except InvalidSetting as error:
        return complain(error, WRONG)
    except CorruptStateError as error:
        return complain(error, CORRUPT)
    except BackupError as error:
        return complain(error, FAILED)
    lines = [
        f"{database}: {contents.items} items up to seq {contents.head}, new epoch {contents.epoch}",
        "Lost is what was stored after the backup: items, filters, acks and revocations of tokens. Revoke again the",
        "tokens that were revoked since. Clients that resume are told that items may be missing.",
    ]
    if replaced is not None:
        lines.append(f"The database before is {replaced}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _database(arguments: argparse.Namespace) -> str:
    chosen = {} if arguments.database is None else {"database": arguments.database}
    database = read_settings(os.environ, chosen).database
    if database == MEMORY:
        raise InvalidSetting("database", MEMORY, "must be a file: a database in memory has no backup")
    return database
