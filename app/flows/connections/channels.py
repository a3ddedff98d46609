"""Add, change and remove the channels of a connection, and replay a channel's past items if the client
asks for them.
"""

from typing import NamedTuple

from app.core.delivery.positions import LogRange
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.filters.filter import DEFAULT_CHANNEL, Filter
from app.core.limits import FilterLimits
from app.core.protocol import server_messages
from app.core.protocol.client_messages import Subscribe, Unsubscribe
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.delivery.channel import Channel
from app.flows.delivery.live import LiveSet
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Session, TokenState


class AppliedFilter(NamedTuple):
    """The filter that a `subscribe` message set on a channel. It applies to the items after `seq`."""

    filter: Filter
    seq: int


class ChannelCommands:
    """Executes `subscribe` and `unsubscribe`, and applies the entitlement of a token that replaces the present one.

    Every change takes effect in its last step, which has no await. No item is broadcast during that step, so no item is
    missed or repeated.
    """

    def __init__(
        self,
        manager: ConnectionManager,
        live: LiveSet,
        subscriptions: SubscriptionService,
        resolver: StartResolver,
        limits: FilterLimits,
    ) -> None:
        self._manager = manager
        self._live = live
        self._subscriptions = subscriptions
        self._resolver = resolver
        self._limits = limits

    async def subscribe(self, session: Session, message: Subscribe) -> AppliedFilter:
        """Set the filter of a channel, adding the channel if it is new. Return the filter, and the seq after which it
        applies.

        Raises ClientError(TOO_MANY_CHANNELS, UNKNOWN_CHANNEL, RATE_LIMITED), ClientError(INVALID_MESSAGE) if `since`
        asks for too many items, and ServerError if a filter or the log cannot be read, or the filter cannot be stored.
        """
        self._check_channel_limit(session, message.channel)
        self._subscriptions.meter_change(session.user_id)
        if message.parsed is None:
            async with self._subscriptions.lock(session.user_id):
                stored = await self._subscriptions.filter_of(session.user_id, message.channel)
                start = await self._resolve_past(session, message, stored)
                return self._apply(session, message.channel, stored, start, tracks_stored=True)
        wanted = message.parsed.filter
        start = await self._resolve_past(session, message, wanted)
        if message.persist:
            await self._subscriptions.replace(session.user_id, wanted, channel=message.channel)
        return self._apply(session, message.channel, wanted, start, tracks_stored=message.persist)

    async def unsubscribe(self, session: Session, message: Unsubscribe) -> None:
        """Remove a channel from a connection. With `message.forget`, also delete the user's stored filter for the
        channel. Raises ClientError(UNKNOWN_CHANNEL, RATE_LIMITED).
        """
        if session.channels.find(message.channel) is None:
            names = ", ".join(session.channels.names)
            detail = f"must be one of {names}" if names else "must be a channel of this connection, which has none"
            raise ClientError(ErrorCode.UNKNOWN_CHANNEL, "Unknown channel", fields=(FieldError("/channel", detail),))
        self._subscriptions.meter_change(session.user_id)
        if message.forget:
            await self._subscriptions.forget(session.user_id, message.channel)
        # The connection may have ended while the stored filter was being deleted.
        channel = session.channels.find(message.channel)
        if session.disconnect_reason is None and channel is not None:
            self._manager.leave_channel(session, channel)

    def use_token(self, session: Session, token: TokenState) -> None:
        """Replace the token of a session, and apply the entitlement of the new token from the next item on. If the new
        token delays items, the session reads its items from the log.

        Raises ClientError(TOO_MANY_CHANNELS) if the connection has more channels than the new token allows; the session
        then keeps the old token.
        """
        before = session.token.entitled
        if session.disconnect_reason is None and token.entitled != before:
            max_channels = token.entitled.max_channels_within(self._limits.max_channels)
            if len(session.channels) > max_channels:
                detail = f"The token allows {max_channels} channels, and this connection has more"
                raise ClientError(ErrorCode.TOO_MANY_CHANNELS, detail)
        session.use_token(token)
        if session.disconnect_reason is not None or token.entitled == before:
            return
        for channel in session.channels:
            if channel.filter is not None:
                self._manager.set_channel_filter(session, channel, channel.filter)
        if token.entitled.min_delay_s:
            self._live.rewind(session, (), session.base_cursor)

    def states(self, session: Session) -> tuple[server_messages.ChannelState, ...]:
        """Return a description of each channel of a connection: `default` first, the others sorted by name."""
        channels = sorted(session.channels, key=lambda channel: (channel.name != DEFAULT_CHANNEL, channel.name))
        delivered = self._live.slots.delivered(session)
        return tuple(
            server_messages.ChannelState(
                channel.name, channel.filter, channel.tracks_stored, _matched(session, channel, delivered)
            )
            for channel in channels
        )

    def _check_channel_limit(self, session: Session, name: str) -> None:
        max_channels = session.token.entitled.max_channels_within(self._limits.max_channels)
        if session.channels.find(name) is None and len(session.channels) >= max_channels:
            where = (FieldError("/channel", f"must be one of at most {max_channels} channels"),)
            raise ClientError(ErrorCode.TOO_MANY_CHANNELS, "Too many channels", fields=where)

    async def _resolve_past(self, session: Session, message: Subscribe, wanted: Filter) -> LogRange | None:
        if message.since is None:
            return None
        return await self._resolver.resolve(message.since, [Channel(message.channel, wanted)], session)

    def _apply(
        self, session: Session, name: str, wanted: Filter, past: LogRange | None, *, tracks_stored: bool
    ) -> AppliedFilter:
        known = session.channels.find(name)
        channel = known or Channel(name)
        channel.filter, channel.tracks_stored = wanted, tracks_stored
        if session.disconnect_reason is not None:
            return AppliedFilter(wanted, channel.filter_seq)
        if known is not None:
            self._manager.set_channel_filter(session, channel, wanted)
        else:
            self._manager.join_channel(session, channel)
        if past is not None:
            self._send_past(session, channel, past)
        return AppliedFilter(wanted, channel.filter_seq)

    def _send_past(self, session: Session, channel: Channel, past: LogRange) -> None:
        """Replay the past items of a channel before the connection gets any new item. Past items that are no longer
        stored are announced in a `gap` message. An item that the client already got through another channel is sent
        again.
        """
        self._live.rewind(session, [channel], past.after)
        channel.filter_seq = past.after
        if past.gap is not None and past.gap.items > 0:
            self._live.send(session, server_messages.gap_message(past.gap))


def _matched(session: Session, channel: Channel, delivered: int) -> int:
    """Return the number of items that a channel matched since it was added.

    Shared frames are the same for many connections. A connection that uses them has only the channel `default`, which
    matched every item that the connection was sent: `session.sent` items up to the last checkpoint, and `delivered`
    items since then.
    """
    return session.sent + delivered if session.uses_shared_frames else channel.matched
