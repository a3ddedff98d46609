"""A connection's channels. This file owns joining, changing and leaving them, and sending a channel's past first."""

from typing import NamedTuple

from app.core.access.entitlement import Entitlement
from app.core.delivery.positions import LogRange
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.filters.filter import DEFAULT_CHANNEL, Filter
from app.core.limits import Limits
from app.core.protocol import server_messages
from app.core.protocol.client_messages import Subscribe, Unsubscribe
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Channel, Session


class AppliedFilter(NamedTuple):
    """The filter that a channel has now, from behind `seq` on."""

    wants: Filter
    seq: int


class Channels:
    """Applies what clients ask for their channels.

    The last step of every change has no await: a channel is replaced between two seqs, no item is missed or doubled.
    """

    def __init__(
        self,
        connections: ConnectionManager,
        subscriptions: SubscriptionService,
        resumption: StartResolver,
        limits: Limits,
    ) -> None:
        self._connections = connections
        self._subscriptions = subscriptions
        self._resumption = resumption
        self._limits = limits

    async def subscribe(self, session: Session, asked: Subscribe) -> AppliedFilter:
        """Give a channel its filter. Raises Theirs(TOO_MANY_CHANNELS, UNKNOWN_CHANNEL, RATE_LIMITED)."""
        name, most = asked.channel, session.entitled.max_channels_within(self._limits.channels)
        if session.channel(name) is None and len(session.channels) >= most:
            where = (FieldError("/channel", f"want at most {most} channels"),)
            raise ClientError(ErrorCode.TOO_MANY_CHANNELS, "Too many channels", fields=where)
        self._subscriptions.meter_change(session.user_id)
        if asked.parsed is None:
            async with self._subscriptions.lock(session.user_id):
                wants = await self._subscriptions.filter_of(session.user_id, name)
                start = await self._find_past(session, asked, wants)
                return self._apply(session, name, wants, start, follows=True)
        wants = asked.parsed.filter
        start = await self._find_past(session, asked, wants)
        if asked.persist:
            await self._subscriptions.replace(session.user_id, wants, channel=name)
        return self._apply(session, name, wants, start, follows=asked.persist)

    async def unsubscribe(self, session: Session, asked: Unsubscribe) -> None:
        """Take a channel from a connection. Raises Theirs(UNKNOWN_CHANNEL)."""
        if session.channel(asked.channel) is None:
            where = (
                FieldError("/channel", f"want one of {', '.join(session.channel_names) or 'none: there is none'}"),
            )
            raise ClientError(ErrorCode.UNKNOWN_CHANNEL, "Unknown channel", fields=where)
        self._subscriptions.meter_change(session.user_id)
        if asked.forget:
            await self._subscriptions.forget(session.user_id, asked.channel)
        # It may have ended, or been taken from the channel by another message, meanwhile.
        channel = session.channel(asked.channel)
        if session.ending is None and channel is not None:
            self._connections.leave_channel(session, channel)

    def entitle(self, session: Session, entitled: Entitlement) -> None:
        """Let a connection see, from the next item on, what a newer token says. Raises Theirs(TOO_MANY_CHANNELS)."""
        if entitled == session.entitled or session.ending is not None:
            return
        most = entitled.max_channels_within(self._limits.channels)
        if len(session.channels) > most:
            raise ClientError(
                ErrorCode.TOO_MANY_CHANNELS, f"The token allows {most} channels, and this connection has more"
            )
        session.entitled = entitled
        for channel in session.channels:
            if channel.filter is not None:
                self._connections.set_channel_filter(session, channel, channel.filter)
        if entitled.min_delay_s:
            self._connections.rewind(session, (), session.base_cursor)

    def states(self, session: Session) -> tuple[server_messages.ChannelState, ...]:
        """Describe a connection's channels, `default` first."""
        channels = sorted(session.channels, key=lambda one: (one.name != DEFAULT_CHANNEL, one.name))
        delivered = self._connections.slots.delivered(session)
        return tuple(
            server_messages.ChannelState(one.name, one.filter, one.tracks_stored, session.matched_on(one, delivered))
            for one in channels
        )

    async def _find_past(self, session: Session, asked: Subscribe, wants: Filter) -> LogRange | None:
        if asked.since is None:
            return None
        return await self._resumption.resolve(asked.since, [Channel(asked.channel, wants)], session)

    def _apply(
        self, session: Session, name: str, wants: Filter, past: LogRange | None, *, follows: bool
    ) -> AppliedFilter:
        known = session.channel(name)
        channel = known or Channel(name)
        channel.filter, channel.tracks_stored = wants, follows
        if session.ending is not None:
            return AppliedFilter(wants, channel.filter_seq)
        if known is not None:
            self._connections.set_channel_filter(session, channel, wants)
        else:
            self._connections.join_channel(session, channel)
        if past is not None:
            self._rewind(session, channel, past)
        return AppliedFilter(wants, channel.filter_seq)

    def _rewind(self, session: Session, channel: Channel, past: LogRange) -> None:
        """Send a channel's past before anything new. What the connection has by another channel comes again."""
        self._connections.rewind(session, [channel], past.after)
        channel.filter_seq = past.after
        if past.gap is not None and past.gap.items > 0:
            self._connections.send(session, server_messages.gap_message(past.gap))
