"""The ports for the state besides the log that survives a restart, and the bundle of all stores.

Every method raises ServerError if the storage fails.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from app.core.delivery.positions import Position
from app.core.filters.filter import Subscription
from app.ports.log import NewsLog


class CorruptSubscriptionError(Exception):
    """Raised for a stored subscription that cannot be read. Its channel must then match no item at all."""


class SubscriptionStore(Protocol):
    """The stored filters of users: at most one for each user and channel name."""

    async def load(self, user_id: str, channel: str) -> Subscription | None:
        """Return the stored subscription of a user's channel, or None. Raises CorruptSubscriptionError."""

    async def save(self, subscription: Subscription) -> Subscription:
        """Store a subscription durably, replacing the one of the same user and channel.

        Return what is stored now: the `created_at` of the first one is kept. Raises ServerError(STORAGE_FULL).
        """

    async def delete(self, user_id: str, channel: str | None = None) -> bool:
        """Delete the subscription of one channel of a user, or all of the user's if `channel` is None. Return False if
        there was none.
        """


class Cursor(NamedTuple):
    """The position up to which a device acknowledged everything, and when this record was last updated (Unix seconds).

    `device_id` is "" for the connections of a user without a device id.
    """

    user_id: str
    device_id: str
    position: Position
    updated_at: float


class CursorStore(Protocol):
    """The stored cursors, one for each user and device id."""

    async def load(self, user_id: str, device_id: str) -> Cursor | None:
        """Return a device's cursor, or None."""

    async def save(self, cursors: Sequence[Cursor]) -> None:
        """Store cursors durably, each replacing the previous one of its device. Raises ServerError(STORAGE_FULL)."""

    async def prune(self, updated_before: float, limit: int) -> int:
        """Delete up to `limit` cursors not updated since a time (Unix seconds). Return how many were deleted."""


class RevocationStore(Protocol):
    """The revocations of tokens: for each user, all tokens issued up to a time (Unix seconds) are revoked."""

    async def load(self) -> dict[str, float]:
        """Return the revocation time of every user that has one, by user id."""

    async def save(self, user_id: str, issued_before: float, forget_before: float) -> None:
        """Store a user's revocation time durably, and delete other users' times before `forget_before`.

        Raises ServerError(STORAGE_FULL).
        """


class Stores(NamedTuple):
    """All stores, and functions that report their health.

    `is_writable` returns whether items can be stored, `pending_operations` the number of operations that wait or run,
    and `file_sizes` the bytes of each database file.
    """

    log: NewsLog
    subscriptions: SubscriptionStore
    cursors: CursorStore
    revocations: RevocationStore
    is_writable: Callable[[], bool] = lambda: True
    pending_operations: Callable[[], float] = lambda: 0.0
    file_sizes: Callable[[], Mapping[str, float]] = lambda: {"main": 0.0, "wal": 0.0}
