"""Define the tables, and migrate databases with older layouts. `PRAGMA user_version` holds the version of the layout.

Version 0 is an empty file, or a database of the original, the FastAPI service that this one replaces. The original's
table `user_subscriptions` is used as it is; its tables `news_items` and `news` are not touched.
"""

import secrets
from collections.abc import Callable, Iterable

import aiosqlite

from app.core.errors import CorruptStateError

VERSION = 5

_TO_VERSION_1 = (
    # This table has exactly the columns that it has in the original's database.
    """
    CREATE TABLE IF NOT EXISTS user_subscriptions (
        user_id TEXT PRIMARY KEY,
        nitter_accounts TEXT,
        rss_feeds TEXT,
        categories TEXT,
        keywords TEXT,
        impact_threshold INTEGER DEFAULT 70,
        alert_channels TEXT,
        created_at REAL,
        updated_at REAL
    )
    """,
    # The filter keys of a user that have no column in `user_subscriptions`, as one JSON object.
    "CREATE TABLE subscription_extras (user_id TEXT PRIMARY KEY, extras TEXT NOT NULL) STRICT",
    """
    CREATE TABLE subscription_channels (
        user_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        filter TEXT NOT NULL,
        alert_channels TEXT NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        PRIMARY KEY (user_id, channel)
    ) STRICT, WITHOUT ROWID
    """,
    # `item` is the item as JSON. The other columns hold the values that queries and the search for duplicates need.
    """
    CREATE TABLE news_log (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        url_key TEXT NOT NULL UNIQUE,
        accepted_at REAL NOT NULL,
        published_at REAL NOT NULL,
        source TEXT NOT NULL,
        category TEXT NOT NULL,
        impact REAL NOT NULL,
        item TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX news_log_by_time ON news_log (published_at, seq, impact)",
    "CREATE TABLE log_identity (epoch TEXT NOT NULL) STRICT",
)

_TO_VERSION_2 = (
    # The position (epoch and seq) up to which each device has acknowledged every item.
    """
    CREATE TABLE cursors (
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        epoch TEXT NOT NULL,
        seq INTEGER NOT NULL,
        updated_at REAL NOT NULL,
        PRIMARY KEY (user_id, device_id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX cursors_by_age ON cursors (updated_at)",
)

_TO_VERSION_3 = (
    # Tokens of a user that were issued at or before this time (Unix seconds) are revoked.
    "CREATE TABLE revocations (user_id TEXT PRIMARY KEY, issued_before REAL NOT NULL) STRICT, WITHOUT ROWID",
)

_TO_VERSION_4 = (
    # The highest seq that was sent to the device; null while it is connected, and in rows of earlier releases.
    "ALTER TABLE cursors ADD COLUMN sent INTEGER",
    # The random ids of the last two starts of a server on this database, with which `mark` finds out whether the file
    # was replaced by an older one.
    "ALTER TABLE log_identity ADD COLUMN start_id TEXT",
    "ALTER TABLE log_identity ADD COLUMN previous_start_id TEXT",
    # Whether the log is for sample items, which must not be mixed with real ones.
    "ALTER TABLE log_identity ADD COLUMN is_sample INTEGER NOT NULL DEFAULT 0",
)

_TO_VERSION_5 = (
    # The entries of feeds that were seen: a hash of what identifies each, a hash of its text, and when it was last seen
    # (Unix seconds). Also `url_key` in `news_log` now holds what identifies an entry, for the items of feeds.
    """
    CREATE TABLE seen_entries (
        key BLOB PRIMARY KEY,
        version BLOB NOT NULL,
        seen_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX seen_entries_by_age ON seen_entries (seen_at)",
    # What is remembered about each feed, as JSON.
    "CREATE TABLE feed_states (feed TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID",
)

_MIGRATIONS: tuple[Iterable[str], ...] = (_TO_VERSION_1, _TO_VERSION_2, _TO_VERSION_3, _TO_VERSION_4, _TO_VERSION_5)


async def migrate(
    connection: aiosqlite.Connection, new_epoch: Callable[[], str] = lambda: secrets.token_hex(4)
) -> None:
    """Create the tables, or migrate them to VERSION, in one transaction. `new_epoch` makes the epoch of a new log.

    Raises CorruptStateError if the layout is newer than VERSION.
    """
    version = await read_version(connection)
    check_version(version)
    if version == VERSION:
        return
    await connection.execute("BEGIN IMMEDIATE")
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            await connection.execute(statement)
    await connection.execute(
        "INSERT INTO log_identity (epoch) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM log_identity)", (new_epoch(),)
    )
    await connection.execute(f"PRAGMA user_version = {VERSION}")
    await connection.commit()


def check_version(version: int) -> None:
    """Raise CorruptStateError if a layout is newer than VERSION."""
    if version > VERSION:
        raise CorruptStateError(f"the database has layout {version}, but this release supports up to {VERSION}")


async def read_version(connection: aiosqlite.Connection) -> int:
    async with connection.execute("PRAGMA user_version") as rows:
        row = await rows.fetchone()
    return int(row[0]) if row else 0
