"""The ports for stored filters, cursors and revocations, which survive a restart, and the bundle of all stores.

Every method raises ServerError if the storage fails.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import NamedTuple, Protocol

from app.core.delivery.positions import Position
from app.core.filters.filter import Subscription
from app.ports.log import NewsLog
from app.ports.seen import SeenStore


class CorruptSubscriptionError(Exception):
    """A stored subscription cannot be read. Its channel must then match no item, rather than every item."""


class SubscriptionStore(Protocol):
    """The stored filters of users: at most one for each user and channel name."""

    async def load(self, user_id: str, channel: str) -> Subscription | None:
        """Return the stored subscription of a user's channel, or None if none is stored. Raises
        CorruptSubscriptionError.
        """

    async def save(self, subscription: Subscription) -> Subscription:
        """Store a subscription durably, replacing the one of the same user and channel.

        Return the subscription as it is stored. If one was replaced, its `created_at` is kept. Raises
        ServerError(STORAGE_FULL).
        """

    async def count_channels(self, user_id: str) -> int:
        """Return the number of named channels for which a user has a stored filter."""

    async def count_users(self) -> int:
        """Return about how many users have a stored filter of channel `default`."""

    async def delete(self, user_id: str, channel: str | None = None) -> bool:
        """Delete the subscription of one of a user's channels; if `channel` is None, delete all of the user's
        subscriptions. Return whether anything was deleted.
        """


class Cursor(NamedTuple):
    """The position up to which a device acknowledged everything, and when this record was last updated (Unix seconds).

    All connections of a user without a device id share one cursor, whose `device_id` is "". `sent` is the highest seq
    that was sent to the device. It is None while the device is connected, because it then grows faster than it is
    stored.
    """

    user_id: str
    device_id: str
    position: Position
    updated_at: float
    sent: int | None = None


class CursorStore(Protocol):
    """The stored cursors, one for each user and device id."""

    async def load(self, user_id: str, device_id: str) -> Cursor | None:
        """Return a device's cursor, or None if none is stored."""

    async def count(self, user_id: str) -> int:
        """Return the number of devices for which a user has a cursor."""

    async def save(self, cursors: Sequence[Cursor]) -> None:
        """Store cursors durably, each replacing the previous one of its device. Raises ServerError(STORAGE_FULL)."""

    async def prune(self, updated_before: float, limit: int) -> int:
        """Delete up to `limit` cursors that were last updated before `updated_before` (Unix seconds). Return how many
        were deleted.
        """


class RevocationStore(Protocol):
    """The revocations of tokens: for each user, all tokens issued up to a time (Unix seconds) are revoked."""

    async def load(self) -> dict[str, float]:
        """Return the revocation time of every user that has one, by user id."""

    async def save(self, user_id: str, issued_before: float, forget_before: float) -> None:
        """Store a user's revocation time `issued_before` durably. Delete revocation times before `forget_before`,
        because the tokens that they revoke have expired.

        Raises ServerError(STORAGE_FULL).
        """


async def _never_end() -> None:
    await asyncio.Event().wait()


class Stores(NamedTuple):
    """All stores, and functions that report their health.

    `is_writable` returns whether items can be stored. `pending_operations` returns how many operations wait or run, and
    `file_sizes` returns the size of each database file in bytes. `watch` runs for as long as the stores work, and
    returns if they do not any more. `stalled_s` returns for how many seconds one change has been running, or 0.
    """

    log: NewsLog
    subscriptions: SubscriptionStore
    cursors: CursorStore
    revocations: RevocationStore
    seen: SeenStore
    is_writable: Callable[[], bool] = lambda: True
    pending_operations: Callable[[], float] = lambda: 0.0
    file_sizes: Callable[[], Mapping[str, float]] = lambda: {"main": 0.0, "wal": 0.0}
    watch: Callable[[], Coroutine[None, None, None]] = _never_end
    stalled_s: Callable[[], float] = lambda: 0.0
