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
from app.telemetry.labels import RateScope
from app.telemetry.stats import Stats

DEFAULT_ALERT_CHANNELS = ("terminal",)

_MINUTE_S = 60.0

_log = structlog.get_logger("subscriptions")


class SavedSubscription(NamedTuple):
    """A subscription as it is stored. `is_new` is True if none was stored for its user and channel before, or only one
    that cannot be read.
    """

    subscription: Subscription
    is_new: bool


class SubscriptionService:
    """Loads, stores and deletes users' filters, and applies changes to open connections. A user without a stored filter
    for channel `default` gets every item there.
    """

    def __init__(
        self, store: SubscriptionStore, manager: ConnectionManager, limits: FilterLimits, clock: Clock, stats: Stats
    ) -> None:
        self._store = store
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
        """Set the filter of each channel of an admitted session that has none, from what is stored. Raises
        ClientError(UNKNOWN_CHANNEL) if nothing is stored for a named channel.

        If the stored filter cannot be read, the filter of the channel stays None: the channel then matches no item,
        rather than every item.
        """
        for channel in session.channels:
            try:
                stored = await self._stored_filter(session.user_id, channel.name)
            except CorruptSubscriptionError as error:
                _log.error("stored_filter_unreadable", user_id=session.user_id, error=str(error))
                continue
            # Keep a filter that the channel has already: one from the URL, or a newer one that was stored while this
            # one was being read.
            if channel.filter is None:
                channel.filter = stored

    async def find(self, user_id: str, channel: str = DEFAULT_CHANNEL) -> Subscription:
        """Return the stored subscription of a user's channel. Raises ClientError(NOT_FOUND), and ServerError(INTERNAL)
        if it cannot be read.
        """
        try:
            stored = await self._store.load(user_id, channel)
        except CorruptSubscriptionError as error:
            raise _unreadable() from error
        if stored is None:
            raise ClientError(ErrorCode.NOT_FOUND, f"User subscription '{user_id}' not found")
        return stored

    async def filter_of(self, user_id: str, channel: str = DEFAULT_CHANNEL) -> Filter:
        """Return the stored filter of a user's channel, or for `default` without a stored one the filter that matches
        every item.

        Raises ClientError(UNKNOWN_CHANNEL) if nothing is stored for a named channel, and ServerError(INTERNAL) if the
        stored filter cannot be read.
        """
        try:
            return await self._stored_filter(user_id, channel)
        except CorruptSubscriptionError as error:
            raise _unreadable() from error

    async def readable_filter_of(self, user_id: str) -> Filter | None:
        """Return the filter of a user's channel `default`, or None if the stored one cannot be read. Without a stored
        one, the filter matches every item.
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
        """Store a filter, and apply it to every channel of the user's connections that tracks it. If `alert_channels`
        is None, those of the stored subscription are kept, or without one `DEFAULT_ALERT_CHANNELS` are used.
        """
        async with self.lock(user_id):
            before = await self._stored_or_none(user_id, channel)
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
        """Delete the stored subscription of one channel, if there is one. Connections that have the channel keep its
        filter.
        """
        async with self.lock(user_id):
            await self._store.delete(user_id, channel)
            self._manager.detach_from_stored(user_id, channel)

    def lock(self, user_id: str) -> asyncio.Lock:
        """Return the lock of a user's filter changes. A change holds it while it is stored and applied, so that
        connections always end up with the filter that was stored last.
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

    async def _stored_or_none(self, user_id: str, channel: str) -> Subscription | None:
        try:
            return await self._store.load(user_id, channel)
        except CorruptSubscriptionError:
            return None


def _unreadable() -> ServerError:
    return ServerError(ErrorCode.INTERNAL, "The stored subscription cannot be read; store it again")
