"""The ports to what users store, and the bundle of all stores."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from app.core.delivery.positions import Position
from app.core.filters.filter import Subscription
from app.ports.log import NewsLog


class CorruptSubscriptionError(Exception):
    """A stored subscription cannot be read; nothing may be delivered on its account."""


class SubscriptionStore(Protocol):
    """Users' stored filters by channel."""

    async def load(self, user_id: str, channel: str) -> Subscription | None:
        """Give a stored subscription. Raises CorruptSubscription."""

    async def load_channels(self, user_id: str) -> list[Subscription]:
        """Give every stored subscription of a user, `default` first. Raises CorruptSubscription."""

    async def save(self, subscription: Subscription) -> Subscription:
        """Store durably, in place of the one before, and give what is stored now: the first `created_at` stays."""

    async def delete(self, user_id: str, channel: str | None = None) -> bool:
        """Forget a channel of a user, or every channel; False when there was none."""


class Cursor(NamedTuple):
    """Up to where a device acknowledged everything, and when it last did (Unix seconds)."""

    user_id: str
    device_id: str
    position: Position
    updated_at: float


class CursorStore(Protocol):
    """Where devices stand in the log."""

    async def load(self, user_id: str, device_id: str) -> Cursor | None:
        """Give a device's cursor."""

    async def save(self, cursors: Sequence[Cursor]) -> None:
        """Store cursors durably, each in place of its device's one before. Raises Ours(STORAGE_FULL)."""

    async def prune(self, updated_before: float, limit: int) -> int:
        """Forget up to `limit` cursors that nobody moved since a time (Unix seconds); give how many went."""


class RevocationStore(Protocol):
    """Which tokens are believed no more: by user, those that were issued until a time (Unix seconds)."""

    async def load(self) -> dict[str, float]:
        """Give that time of every user who has one."""

    async def save(self, user_id: str, issued_before: float, forget_before: float) -> None:
        """Store a user's time durably, and drop those of others before `forget_before`. Raises Ours(STORAGE_FULL)."""


class Stores(NamedTuple):
    """What outlives the process, or stands in for it, and how it is doing; `file_sizes` gives bytes by file."""

    log: NewsLog
    subscriptions: SubscriptionStore
    cursors: CursorStore
    revocations: RevocationStore
    is_writable: Callable[[], bool] = lambda: True
    pending_operations: Callable[[], float] = lambda: 0.0
    file_sizes: Callable[[], Mapping[str, float]] = lambda: {"main": 0.0, "wal": 0.0}
