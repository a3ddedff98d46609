"""The bundle of all stores in memory."""

from app.adapters.memory.cursor_store import MemoryCursorStore
from app.adapters.memory.news_log import MemoryNewsLog
from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.adapters.memory.seen_store import MemorySeenStore
from app.adapters.memory.subscription_store import MemorySubscriptionStore
from app.ports.log import NewsLog
from app.ports.stores import Stores


def memory_stores(log: NewsLog | None = None) -> Stores:
    """Return a bundle of empty stores in memory. If `log` is passed, it is the log of the bundle."""
    return Stores(
        log or MemoryNewsLog(),
        MemorySubscriptionStore(),
        MemoryCursorStore(),
        MemoryRevocationStore(),
        MemorySeenStore(),
    )
