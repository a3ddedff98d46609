"""The ports to what outlives the process beside the log, and the bundle of all stores."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from app.core.delivery.positions import Position
from app.core.filters.filter import Subscription
from app.ports.log import NewsLog


class CorruptSubscriptionError(Exception):
    """A stored subscription that cannot be read. It must deliver nothing."""


class SubscriptionStore(Protocol):
    """Users' stored filters, by channel."""

    async def load(self, user_id: str, channel: str) -> Subscription | None:
        """Return a stored subscription. Raises CorruptSubscriptionError."""

    async def save(self, subscription: Subscription) -> Subscription:
        """Store durably, replacing the one before. Return what is stored now: the first `created_at` is kept."""

    async def delete(self, user_id: str, channel: str | None = None) -> bool:
        """Delete one channel of a user, or all of them. Return False if there was none."""


class Cursor(NamedTuple):
    """Up to which position a device acknowledged everything, and when it last did (Unix seconds)."""

    user_id: str
    device_id: str
    position: Position
    updated_at: float


class CursorStore(Protocol):
    """The cursors of devices."""

    async def load(self, user_id: str, device_id: str) -> Cursor | None:
        """Return a device's cursor."""

    async def save(self, cursors: Sequence[Cursor]) -> None:
        """Store cursors durably, each replacing the one before of its device. Raises ServerError(STORAGE_FULL)."""

    async def prune(self, updated_before: float, limit: int) -> int:
        """Delete up to `limit` cursors not updated since a time (Unix seconds). Return how many were deleted."""


class RevocationStore(Protocol):
    """Which tokens are revoked: for a user, all that were issued up to a time (Unix seconds)."""

    async def load(self) -> dict[str, float]:
        """Return that time for every user that has one."""

    async def save(self, user_id: str, issued_before: float, forget_before: float) -> None:
        """Store a user's time durably, and delete other users' times before `forget_before`.

        Raises ServerError(STORAGE_FULL).
        """


class Stores(NamedTuple):
    """All stores, and their health. `file_sizes` returns bytes by file."""

    log: NewsLog
    subscriptions: SubscriptionStore
    cursors: CursorStore
    revocations: RevocationStore
    is_writable: Callable[[], bool] = lambda: True
    pending_operations: Callable[[], float] = lambda: 0.0
    file_sizes: Callable[[], Mapping[str, float]] = lambda: {"main": 0.0, "wal": 0.0}
