"""The bundle of all stores on SQLite."""

from app.adapters.sqlite.cursor_store import SqliteCursorStore
from app.adapters.sqlite.database import Database
from app.adapters.sqlite.news_log import open_log
from app.adapters.sqlite.revocation_store import SqliteRevocationStore
from app.adapters.sqlite.seen_store import SqliteSeenStore
from app.adapters.sqlite.subscription_store import SqliteSubscriptionStore
from app.ports.stores import Stores


async def sqlite_stores(database: Database) -> Stores:
    """Return all stores of an open database. Raises CorruptStateError if its log cannot be read."""
    return Stores(
        await open_log(database),
        SqliteSubscriptionStore(database),
        SqliteCursorStore(database),
        SqliteRevocationStore(database),
        SqliteSeenStore(database),
        database.is_writable,
        lambda: database.pending,
        database.file_sizes,
        database.watch,
        database.stalled_s,
    )
