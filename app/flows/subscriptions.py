"""A user's stored filter. This file owns the order: disk, then index, then "yes", so that no "yes" is forgotten."""

import asyncio
from typing import NamedTuple
from weakref import WeakValueDictionary

import structlog

from app.core.errors import Code, Ours, Theirs
from app.core.subscription import DEFAULT_CHANNEL, EVERYTHING, Filter, Subscription
from app.flows.connections import ConnectionManager
from app.flows.session import Session
from app.ports import Clock, CorruptSubscription, SubscriptionStore

DEFAULT_ALERT_CHANNELS = ("terminal",)

_log = structlog.get_logger("subscriptions")


class Replaced(NamedTuple):
    """What is stored now, and whether it is the user's first."""

    subscription: Subscription
    is_new: bool


class Subscriptions:
    """Users' filters, stored and live."""

    def __init__(self, store: SubscriptionStore, connections: ConnectionManager, clock: Clock) -> None:
        self._store = store
        self._connections = connections
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def prepare(self, session: Session) -> None:
        """Give a seated session the filter its user has stored; without one it wants everything.

        A stored filter that cannot be read leaves the session broken: it gets nothing, never everything.
        """
        try:
            stored = await self._store.load(session.user_id, DEFAULT_CHANNEL)
        except CorruptSubscription as error:
            _log.error("stored_filter_unreadable", user_id=session.user_id, error=str(error))
            session.is_broken = session.wants is None
            return
        # Whoever stored a newer filter while this was read has set it already.
        if session.wants is None:
            session.wants = stored.wants if stored else EVERYTHING

    async def find(self, user_id: str) -> Subscription:
        """Give a user's stored subscription. Raises Theirs(NOT_FOUND) and Ours(INTERNAL)."""
        try:
            stored = await self._store.load(user_id, DEFAULT_CHANNEL)
        except CorruptSubscription as error:
            raise Ours(Code.INTERNAL, "The stored subscription cannot be read; store it again") from error
        if stored is None:
            raise Theirs(Code.NOT_FOUND, f"User subscription '{user_id}' not found")
        return stored

    async def filter_of(self, user_id: str) -> Filter:
        """Give the filter that decides for a user: the stored one, or everything."""
        try:
            return (await self.find(user_id)).wants
        except Theirs:
            return EVERYTHING

    async def readable_filter_of(self, user_id: str) -> Filter | None:
        """Give the filter that decides for a user, None when what is stored cannot be read."""
        try:
            stored = await self._store.load(user_id, DEFAULT_CHANNEL)
        except CorruptSubscription:
            return None
        return stored.wants if stored else EVERYTHING

    async def replace(
        self, user_id: str, wants: Filter, alert_channels: tuple[str, ...] | None = None, by: Session | None = None
    ) -> Replaced:
        """Store a user's filter and apply it to every connection that follows it, and to the one that asks (`by`)."""
        async with self._turn(user_id):
            before = await self._stored_or_none(user_id)
            if alert_channels is None:
                alert_channels = before.alert_channels if before else DEFAULT_ALERT_CHANNELS
            now = self._clock.wall()
            stored = await self._store.save(Subscription(user_id, DEFAULT_CHANNEL, wants, alert_channels, now, now))
            if by is not None:
                by.has_own_filter = False
            self._connections.set_filter(user_id, wants)
            return Replaced(stored, is_new=before is None)

    async def remove(self, user_id: str) -> None:
        """Forget a user's subscription: their connections want everything again. Raises Theirs(NOT_FOUND)."""
        async with self._turn(user_id):
            if not await self._store.delete(user_id):
                raise Theirs(Code.NOT_FOUND, f"User subscription '{user_id}' not found")
            self._connections.set_filter(user_id, EVERYTHING)

    async def refresh(self, session: Session) -> Filter:
        """Put a session back on its user's stored filter, and give it. Raises Ours(INTERNAL)."""
        async with self._turn(session.user_id):
            wants = await self.filter_of(session.user_id)
            session.has_own_filter = False
            self._connections.set_filter(session.user_id, wants)
            return wants

    def _turn(self, user_id: str) -> asyncio.Lock:
        """Let one user's changes happen one after the other, so that what is live is what was stored last."""
        return self._turns.setdefault(user_id, asyncio.Lock())

    async def _stored_or_none(self, user_id: str) -> Subscription | None:
        try:
            return await self._store.load(user_id, DEFAULT_CHANNEL)
        except CorruptSubscription:
            return None
