"""Users' stored filters. This file owns the order: disk, then index, then "yes", so that no "yes" is forgotten."""

import asyncio
from typing import NamedTuple
from weakref import WeakValueDictionary

import structlog

from app.core.errors import ClientError, ErrorCode, FieldError, ServerError
from app.core.filters.filter import DEFAULT_CHANNEL, MATCH_ALL, Filter, Subscription
from app.core.limits import KeyedRateLimiter, Limits
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
    """What is stored now, and whether it is the channel's first."""

    subscription: Subscription
    is_new: bool


class SubscriptionService:
    """Users' filters, stored and live. A user without a stored filter for channel `default` wants everything."""

    def __init__(
        self, store: SubscriptionStore, connections: ConnectionManager, limits: Limits, clock: Clock, stats: Stats
    ) -> None:
        self._store = store
        self._connections = connections
        self._clock = clock
        self._stats = stats
        self._meter = KeyedRateLimiter(limits.filter_changes_per_min / _MINUTE_S, limits.filter_changes_per_min)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def meter_change(self, user_id: str) -> None:
        """Count one change that a user asks for, of any channel, on any way. Raises Theirs(RATE_LIMITED)."""
        wait_s = self._meter.acquire(user_id, self._clock.monotonic())
        if wait_s:
            self._stats.rate_limited[RateScope.FILTER] += 1
            raise ClientError(ErrorCode.RATE_LIMITED, "Too many filter changes", retry_after_s=wait_s)

    async def prepare(self, session: Session) -> None:
        """Give a seated session's channels the filters its user has stored. Raises Theirs(UNKNOWN_CHANNEL).

        A channel whose stored filter cannot be read stays broken: it gets nothing, never everything.
        """
        for channel in session.channels:
            try:
                wants = await self._stored_filter(session.user_id, channel.name)
            except CorruptSubscriptionError as error:
                _log.error("stored_filter_unreadable", user_id=session.user_id, error=str(error))
                continue
            # Whoever stored a newer filter while this was read has set it already.
            if channel.filter is None:
                channel.filter = wants

    async def find(self, user_id: str, channel: str = DEFAULT_CHANNEL) -> Subscription:
        """Give a stored subscription. Raises Theirs(NOT_FOUND) and Ours(INTERNAL)."""
        try:
            stored = await self._store.load(user_id, channel)
        except CorruptSubscriptionError as error:
            raise ServerError(ErrorCode.INTERNAL, "The stored subscription cannot be read; store it again") from error
        if stored is None:
            raise ClientError(ErrorCode.NOT_FOUND, f"User subscription '{user_id}' not found")
        return stored

    async def filter_of(self, user_id: str, channel: str = DEFAULT_CHANNEL) -> Filter:
        """Give the filter that decides for a user's channel. Raises Theirs(UNKNOWN_CHANNEL) and Ours(INTERNAL)."""
        try:
            return await self._stored_filter(user_id, channel)
        except CorruptSubscriptionError as error:
            raise ServerError(ErrorCode.INTERNAL, "The stored subscription cannot be read; store it again") from error

    async def readable_filter_of(self, user_id: str) -> Filter | None:
        """Give the filter that decides for a user, None when what is stored cannot be read."""
        try:
            return await self._stored_filter(user_id, DEFAULT_CHANNEL)
        except CorruptSubscriptionError:
            return None

    async def replace(
        self,
        user_id: str,
        wants: Filter,
        alert_channels: tuple[str, ...] | None = None,
        channel: str = DEFAULT_CHANNEL,
    ) -> SavedSubscription:
        """Store a filter and apply it to every connection of the user that follows it."""
        async with self.lock(user_id):
            before = await self._stored_or_none(user_id, channel)
            if alert_channels is None:
                alert_channels = before.alert_channels if before else DEFAULT_ALERT_CHANNELS
            now = self._clock.wall()
            stored = await self._store.save(Subscription(user_id, channel, wants, alert_channels, now, now))
            self._connections.apply_stored_filter(user_id, wants, channel)
            return SavedSubscription(stored, is_new=before is None)

    async def remove(self, user_id: str) -> None:
        """Forget a user's subscriptions: their connections want everything again, and keep named channels as their own.

        Raises Theirs(NOT_FOUND).
        """
        async with self.lock(user_id):
            if not await self._store.delete(user_id):
                raise ClientError(ErrorCode.NOT_FOUND, f"User subscription '{user_id}' not found")
            self._connections.apply_stored_filter(user_id, MATCH_ALL)
            self._connections.detach_from_stored(user_id)

    async def forget(self, user_id: str, channel: str) -> None:
        """Forget what is stored for one channel; connections that have it keep its filter as their own."""
        async with self.lock(user_id):
            await self._store.delete(user_id, channel)
            self._connections.detach_from_stored(user_id, channel)

    def lock(self, user_id: str) -> asyncio.Lock:
        """Let one user's changes happen one after the other, so that what is live is what was stored last."""
        return self._turns.setdefault(user_id, asyncio.Lock())

    async def _stored_filter(self, user_id: str, channel: str) -> Filter:
        stored = await self._store.load(user_id, channel)
        if stored is not None:
            return stored.filter
        if channel == DEFAULT_CHANNEL:
            return MATCH_ALL
        where = (FieldError("channel", "nothing is stored under this name"),)
        raise ClientError(ErrorCode.UNKNOWN_CHANNEL, f"Unknown channel '{channel}'", fields=where)

    async def _stored_or_none(self, user_id: str, channel: str) -> Subscription | None:
        try:
            return await self._store.load(user_id, channel)
        except CorruptSubscriptionError:
            return None
