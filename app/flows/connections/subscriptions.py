"""Users' stored filters. A change is first stored on disk, then applied to the user's open connections, and then
answered, so that a change that was confirmed is never lost.
"""

import asyncio
from typing import NamedTuple
from weakref import WeakValueDictionary

import structlog

from app.core.errors import ClientError, ErrorCode, FieldError, ServerError
from app.core.filters.filter import DEFAULT_CHANNEL, MATCH_ALL, Filter, Subscription
from app.core.limits import FilterLimits
from app.core.rate_limiter import KeyedRateLimiter
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.stores import CorruptSubscriptionError, SubscriptionStore
from app.telemetry.labels import LimitHit, RateScope
from app.telemetry.stats import Stats

DEFAULT_ALERT_CHANNELS = ("terminal",)

_MINUTE_S = 60.0

_log = structlog.get_logger("subscriptions")


class SavedSubscription(NamedTuple):
    """A subscription that was just stored. `is_new` is True if its user and channel had no readable subscription
    before.
    """

    subscription: Subscription
    is_new: bool


class SubscriptionService:
    """Loads, stores and deletes users' filters, and applies changes to open connections. For a user without a stored
    filter for channel `default`, that channel matches every item.
    """

    def __init__(
        self, store: SubscriptionStore, manager: ConnectionManager, limits: FilterLimits, clock: Clock, stats: Stats
    ) -> None:
        self._store = store
        self._limits = limits
        self._manager = manager
        self._clock = clock
        self._stats = stats
        self._limiter = KeyedRateLimiter(limits.max_changes_per_min / _MINUTE_S, limits.max_changes_per_min)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def meter_change(self, user_id: str) -> None:
        """Meter one filter change of a user; the changes of all channels count together. Raises
        ClientError(RATE_LIMITED).
        """
        wait_s = self._limiter.acquire(user_id, self._clock.monotonic())
        if wait_s:
            self._stats.connections.record_rate_limit(RateScope.FILTER)
            raise ClientError(ErrorCode.RATE_LIMITED, "Too many filter changes", retry_after_s=wait_s)

    async def load_filters(self, session: Session) -> None:
        """Load the user's stored filters into those channels of an admitted session that have no filter yet. Raises
        ClientError(UNKNOWN_CHANNEL) if nothing is stored for a named channel.

        If a stored filter cannot be read, the channel's filter stays None. The channel then matches no item, rather
        than every item.
        """
        for channel in session.channels:
            try:
                stored = await self._stored_filter(session.user_id, channel.name)
            except CorruptSubscriptionError as error:
                _log.error("stored_filter_unreadable", user_id=session.user_id, error=str(error))
                continue
            # The channel keeps a filter that it has already. Such a filter came from the URL, or it is a newer stored
            # filter that was applied while `stored` was being read.
            if channel.filter is None:
                channel.filter = stored

    async def find(self, user_id: str, channel: str = DEFAULT_CHANNEL) -> Subscription:
        """Return the stored subscription of a user's channel. Raises ClientError(NOT_FOUND) if there is none, and
        ServerError(INTERNAL) if it cannot be read.
        """
        try:
            stored = await self._store.load(user_id, channel)
        except CorruptSubscriptionError as error:
            raise _unreadable() from error
        if stored is None:
            raise ClientError(ErrorCode.NOT_FOUND, f"User subscription '{user_id}' not found")
        return stored

    async def filter_of(self, user_id: str, channel: str = DEFAULT_CHANNEL) -> Filter:
        """Return the stored filter of a user's channel. If none is stored for `default`, return the filter that matches
        every item.

        Raises ClientError(UNKNOWN_CHANNEL) if nothing is stored for a named channel, and ServerError(INTERNAL) if the
        stored filter cannot be read.
        """
        try:
            return await self._stored_filter(user_id, channel)
        except CorruptSubscriptionError as error:
            raise _unreadable() from error

    async def readable_filter_of(self, user_id: str) -> Filter | None:
        """Return the stored filter of a user's channel `default`, or None if it cannot be read. If none is stored,
        return the filter that matches every item.
        """
        try:
            return await self._stored_filter(user_id, DEFAULT_CHANNEL)
        except CorruptSubscriptionError:
            return None

    async def replace(
        self,
        user_id: str,
        wanted: Filter,
        alert_channels: tuple[str, ...] | None = None,
        channel: str = DEFAULT_CHANNEL,
    ) -> SavedSubscription:
        """Store a user's filter for one channel, and return the stored subscription. The filter also replaces that
        channel's filter on the user's connections, except where the channel has a filter of its own instead of the
        stored one.

        If `alert_channels` is None, those of the previous subscription are kept; a new subscription gets
        `DEFAULT_ALERT_CHANNELS`. Raises ClientError(LIMIT_REACHED) if too many filters are stored.
        """
        async with self.lock(user_id):
            before = await self._stored_or_none(user_id, channel)
            if before is None:
                await self._check_space(user_id, channel)
            if alert_channels is None:
                alert_channels = before.alert_channels if before else DEFAULT_ALERT_CHANNELS
            now = self._clock.wall()
            stored = await self._store.save(Subscription(user_id, channel, wanted, alert_channels, now, now))
            self._manager.apply_stored_filter(user_id, wanted, channel)
            return SavedSubscription(stored, is_new=before is None)

    async def remove(self, user_id: str) -> None:
        """Delete all of a user's subscriptions. Raises ClientError(NOT_FOUND) if there are none.

        On the user's connections, a channel `default` that tracks the stored filter matches every item from now on;
        named channels keep their filters.
        """
        async with self.lock(user_id):
            if not await self._store.delete(user_id):
                raise ClientError(ErrorCode.NOT_FOUND, f"User subscription '{user_id}' not found")
            self._manager.apply_stored_filter(user_id, MATCH_ALL)
            self._manager.detach_from_stored(user_id)

    async def forget(self, user_id: str, channel: str) -> None:
        """Delete the stored subscription of one channel of a user, if there is one. On the user's connections, the
        channel keeps the filter that it has.
        """
        async with self.lock(user_id):
            await self._store.delete(user_id, channel)
            self._manager.detach_from_stored(user_id, channel)

    def lock(self, user_id: str) -> asyncio.Lock:
        """Return the lock for a user's filter changes. A change holds the lock until the filter is stored and applied,
        so that connections always end up with the filter that was stored last.
        """
        return self._locks.setdefault(user_id, asyncio.Lock())

    async def _stored_filter(self, user_id: str, channel: str) -> Filter:
        stored = await self._store.load(user_id, channel)
        if stored is not None:
            return stored.filter
        if channel == DEFAULT_CHANNEL:
            return MATCH_ALL
        where = (FieldError("channel", "must be the name of a stored channel"),)
        raise ClientError(ErrorCode.UNKNOWN_CHANNEL, f"Unknown channel '{channel}'", fields=where)

    async def _check_space(self, user_id: str, channel: str) -> None:
        """Raise ClientError(LIMIT_REACHED) if no filter may be stored for one more channel or user."""
        if channel == DEFAULT_CHANNEL:
            stored, most, hit = await self._store.count_users(), self._limits.max_users, LimitHit.USERS
            detail = f"Filters of {most:,} users are stored already"
        else:
            stored, most = await self._store.count_channels(user_id), self._limits.max_stored_channels
            hit, detail = LimitHit.STORED_CHANNELS, f"{most} channels are stored already: unsubscribe from one first"
        if stored >= most:
            self._stats.connections.record_stored_limit(hit)
            raise ClientError(ErrorCode.LIMIT_REACHED, detail)

    async def _stored_or_none(self, user_id: str, channel: str) -> Subscription | None:
        try:
            return await self._store.load(user_id, channel)
        except CorruptSubscriptionError:
            return None


def _unreadable() -> ServerError:
    return ServerError(ErrorCode.INTERNAL, "The stored subscription cannot be read; store it again")
