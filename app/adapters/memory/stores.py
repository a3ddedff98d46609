"""All stores in memory. This file owns which there are."""

from app.adapters.memory.cursor_store import MemoryCursorStore
from app.adapters.memory.news_log import MemoryNewsLog
from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.adapters.memory.subscription_store import MemorySubscriptionStore
from app.ports.log import NewsLog
from app.ports.stores import Stores


def memory_stores(log: NewsLog | None = None) -> Stores:
    """Make empty stores, around a log that is there already or a new one."""
    return Stores(log or MemoryNewsLog(), MemorySubscriptionStore(), MemoryCursorStore(), MemoryRevocationStore())
