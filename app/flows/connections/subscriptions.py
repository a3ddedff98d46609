"""Users' stored filters: first on disk, then in the index, then the answer, so that no answer is forgotten."""

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
    """What is stored now, and whether it is the first of its channel."""

    subscription: Subscription
    is_new: bool


class SubscriptionService:
    """Users' filters, stored and live. A user without a stored filter for channel `default` gets every item."""

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
        """Meter one change that a user asks for, of any channel. Raises ClientError(RATE_LIMITED)."""
        wait_s = self._limiter.acquire(user_id, self._clock.monotonic())
        if wait_s:
            self._stats.connections.record_rate_limit(RateScope.FILTER)
            raise ClientError(ErrorCode.RATE_LIMITED, "Too many filter changes", retry_after_s=wait_s)

    async def load_filters(self, session: Session) -> None:
        """Load the stored filters of an admitted session's channels. Raises ClientError(UNKNOWN_CHANNEL).

        A channel whose stored filter cannot be read stays without one: it matches nothing, never everything.
        """
        for channel in session.channels:
            try:
                stored = await self._stored_filter(session.user_id, channel.name)
            except CorruptSubscriptionError as error:
                _log.error("stored_filter_unreadable", user_id=session.user_id, error=str(error))
                continue
            # If a newer filter was stored while this one was read, it is there already.
            if channel.filter is None:
                channel.filter = stored

    async def find(self, user_id: str, channel: str = DEFAULT_CHANNEL) -> Subscription:
        """Return a stored subscription. Raises ClientError(NOT_FOUND) and ServerError(INTERNAL)."""
        try:
            stored = await self._store.load(user_id, channel)
        except CorruptSubscriptionError as error:
            raise _unreadable() from error
        if stored is None:
            raise ClientError(ErrorCode.NOT_FOUND, f"User subscription '{user_id}' not found")
        return stored

    async def filter_of(self, user_id: str, channel: str = DEFAULT_CHANNEL) -> Filter:
        """Return the filter that decides for a user's channel.

        Raises ClientError(UNKNOWN_CHANNEL) and ServerError(INTERNAL).
        """
        try:
            return await self._stored_filter(user_id, channel)
        except CorruptSubscriptionError as error:
            raise _unreadable() from error

    async def readable_filter_of(self, user_id: str) -> Filter | None:
        """Return the filter that decides for a user, None if the stored one cannot be read."""
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
        """Store a filter, and apply it to every connection of the user that tracks it."""
        async with self.lock(user_id):
            before = await self._stored_or_none(user_id, channel)
            if alert_channels is None:
                alert_channels = before.alert_channels if before else DEFAULT_ALERT_CHANNELS
            now = self._clock.wall()
            stored = await self._store.save(Subscription(user_id, channel, wanted, alert_channels, now, now))
            self._manager.apply_stored_filter(user_id, wanted, channel)
            return SavedSubscription(stored, is_new=before is None)

    async def remove(self, user_id: str) -> None:
        """Delete all of a user's subscriptions. Raises ClientError(NOT_FOUND).

        The user's connections get every item again on channel `default`, and keep the filters of named channels.
        """
        async with self.lock(user_id):
            if not await self._store.delete(user_id):
                raise ClientError(ErrorCode.NOT_FOUND, f"User subscription '{user_id}' not found")
            self._manager.apply_stored_filter(user_id, MATCH_ALL)
            self._manager.detach_from_stored(user_id)

    async def forget(self, user_id: str, channel: str) -> None:
        """Delete the subscription of one channel; connections that have the channel keep its filter."""
        async with self.lock(user_id):
            await self._store.delete(user_id, channel)
            self._manager.detach_from_stored(user_id, channel)

    def lock(self, user_id: str) -> asyncio.Lock:
        """Return the lock that orders one user's changes, so that the live filter is the one stored last."""
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
