"""A connection's channels. This file owns joining, changing and leaving them, and sending a channel's past first."""

from typing import NamedTuple

from app.core import outbound
from app.core.entitlement import Entitlement
from app.core.errors import Code, FieldError, Theirs
from app.core.limits import Limits
from app.core.messages import Subscribe, Unsubscribe
from app.core.resuming import Start
from app.core.subscription import DEFAULT_CHANNEL, Filter
from app.flows.connections import ConnectionManager
from app.flows.resume import Resumption
from app.flows.session import Channel, Session
from app.flows.subscriptions import Subscriptions


class Subscribed(NamedTuple):
    """The filter that a channel has now, from behind `seq` on."""

    wants: Filter
    seq: int


class Channels:
    """Applies what clients ask for their channels.

    The last step of every change has no await: a channel is replaced between two seqs, no item is missed or doubled.
    """

    def __init__(
        self, connections: ConnectionManager, subscriptions: Subscriptions, resumption: Resumption, limits: Limits
    ) -> None:
        self._connections = connections
        self._subscriptions = subscriptions
        self._resumption = resumption
        self._limits = limits

    async def subscribe(self, session: Session, asked: Subscribe) -> Subscribed:
        """Give a channel its filter. Raises Theirs(TOO_MANY_CHANNELS, UNKNOWN_CHANNEL, RATE_LIMITED)."""
        name, most = asked.channel, session.entitled.channels_of(self._limits.channels)
        if session.channel(name) is None and len(session.channels) >= most:
            where = (FieldError("/channel", f"want at most {most} channels"),)
            raise Theirs(Code.TOO_MANY_CHANNELS, "Too many channels", fields=where)
        self._subscriptions.meter_change(session.user_id)
        if asked.checked is None:
            async with self._subscriptions.turn(session.user_id):
                wants = await self._subscriptions.filter_of(session.user_id, name)
                start = await self._find_past(session, asked, wants)
                return self._apply(session, name, wants, start, follows=True)
        wants = asked.checked.wants
        start = await self._find_past(session, asked, wants)
        if asked.persist:
            await self._subscriptions.replace(session.user_id, wants, channel=name)
        return self._apply(session, name, wants, start, follows=asked.persist)

    async def unsubscribe(self, session: Session, asked: Unsubscribe) -> None:
        """Take a channel from a connection. Raises Theirs(UNKNOWN_CHANNEL)."""
        if session.channel(asked.channel) is None:
            where = (FieldError("/channel", f"want one of {', '.join(session.names) or 'none: there is none'}"),)
            raise Theirs(Code.UNKNOWN_CHANNEL, "Unknown channel", fields=where)
        self._subscriptions.meter_change(session.user_id)
        if asked.forget:
            await self._subscriptions.forget(session.user_id, asked.channel)
        # It may have ended, or been taken from the channel by another message, meanwhile.
        channel = session.channel(asked.channel)
        if session.ending is None and channel is not None:
            self._connections.part(session, channel)

    def entitle(self, session: Session, entitled: Entitlement) -> None:
        """Let a connection see, from the next item on, what a newer token says. Raises Theirs(TOO_MANY_CHANNELS)."""
        if entitled == session.entitled or session.ending is not None:
            return
        most = entitled.channels_of(self._limits.channels)
        if len(session.channels) > most:
            raise Theirs(Code.TOO_MANY_CHANNELS, f"The token allows {most} channels, and this connection has more")
        session.entitled = entitled
        for channel in session.channels:
            if channel.wants is not None:
                self._connections.change(session, channel, channel.wants)
        if entitled.min_delay_s:
            self._connections.rewind(session, (), session.floor)

    def states(self, session: Session) -> tuple[outbound.ChannelState, ...]:
        """Describe a connection's channels, `default` first."""
        channels = sorted(session.channels, key=lambda one: (one.name != DEFAULT_CHANNEL, one.name))
        delivered = self._connections.slots.delivered(session)
        return tuple(
            outbound.ChannelState(one.name, one.wants, one.follows, session.matched_on(one, delivered))
            for one in channels
        )

    async def _find_past(self, session: Session, asked: Subscribe, wants: Filter) -> Start | None:
        if asked.since is None:
            return None
        return await self._resumption.find(asked.since, [Channel(asked.channel, wants)], session)

    def _apply(self, session: Session, name: str, wants: Filter, past: Start | None, *, follows: bool) -> Subscribed:
        known = session.channel(name)
        channel = known or Channel(name)
        channel.wants, channel.follows = wants, follows
        if session.ending is not None:
            return Subscribed(wants, channel.wants_seq)
        if known is not None:
            self._connections.change(session, channel, wants)
        else:
            self._connections.join(session, channel)
        if past is not None:
            self._rewind(session, channel, past)
        return Subscribed(wants, channel.wants_seq)

    def _rewind(self, session: Session, channel: Channel, past: Start) -> None:
        """Send a channel's past before anything new. What the connection has by another channel comes again."""
        self._connections.rewind(session, [channel], past.after)
        channel.wants_seq = past.after
        if past.gap is not None and past.gap.items > 0:
            self._connections.say(session, outbound.gap(past.gap))
