"""How a connection begins. This file owns what a client may want, and the order: filters, window, place, welcome, gap.

What has to be looked up is looked up before the upgrade. Opening awaits nothing: from the check of where to begin to
the first item the log cannot move on unseen.
"""

from typing import NamedTuple

from app.core import outbound
from app.core.deflate import UNCOMPRESSED
from app.core.entitlement import ALL, Entitlement
from app.core.errors import Code, Ours
from app.core.limits import Limits
from app.core.resuming import Asked
from app.flows.acks import Acks
from app.flows.connections import ConnectionManager
from app.flows.resume import Resumption
from app.flows.session import Channel, Session
from app.flows.subscriptions import Subscriptions
from app.ports import Clock, Link


class Opening(NamedTuple):
    """How a client wants its connection. `is_required`: rather none than one with a gap."""

    user_id: str
    device_id: str | None = None
    channels: tuple[Channel, ...] = ()
    asked: Asked | None = None
    is_required: bool = False
    wants_acks: bool = False
    is_v2: bool = False
    window_bits: int = UNCOMPRESSED
    expires_at: float | None = None
    entitled: Entitlement = ALL


class Greeting:
    """Prepares seated sessions and opens them."""

    def __init__(
        self,
        connections: ConnectionManager,
        subscriptions: Subscriptions,
        resumption: Resumption,
        acks: Acks,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._connections = connections
        self._subscriptions = subscriptions
        self._resumption = resumption
        self._acks = acks
        self._limits = limits
        self._clock = clock

    async def prepare(self, session: Session, opening: Opening) -> None:
        """Look up what a seated session needs. Raises Theirs(UNKNOWN_CHANNEL, RATE_LIMITED, RESUME_EXPIRED)."""
        session.is_v2 = opening.is_v2
        session.window_bits = opening.window_bits
        session.expires_at, session.entitled = opening.expires_at, opening.entitled
        session.use_channels(opening.channels)
        await self._subscriptions.prepare(session)
        if opening.asked is not None:
            await self._resumption.prepare(session, opening.asked, is_required=opening.is_required)
        elif session.entitled.min_delay_s:
            await self._resumption.find_due(session)
        if opening.wants_acks:
            await self._acks.prepare(session)

    def open(self, session: Session, link: Link) -> None:
        """Open a session, and say what its client has to know before the first item."""
        self._acks.begin(session)
        self._resumption.begin(session)
        self._connections.open(session, link)
        if session.is_v2:
            self._connections.say(session, self._welcome(session))
        gap = session.start.gap if session.start is not None else None
        if gap is not None and gap.items > 0:
            self._connections.say(session, outbound.gap(gap))
        if session.is_broken:
            # Where the stored filter lets nothing through because it cannot be read.
            broken = Ours(Code.INVALID_FILTER, "Your stored filter cannot be read: subscribe again to get items")
            self._connections.say(session, outbound.error(broken, self._clock.wall()))

    def _welcome(self, session: Session) -> outbound.Welcome:
        log, start, limits = self._resumption.bounds, session.start, self._limits
        gap = start.gap if start is not None else None
        return outbound.Welcome(
            connection_id=session.id,
            user_id=session.user_id,
            device_id=session.device_id or None,
            epoch=log.epoch,
            seq=self._connections.position,
            oldest_seq=log.oldest,
            recovered=not session.asks_nothing and gap is None,
            reason=gap.reason if gap is not None else None,
            heartbeat_ms=int(limits.heartbeat_s * 1000),
            server_time=self._clock.wall(),
            limits=outbound.WelcomeLimits(
                message_bytes=limits.message_bytes,
                messages_per_s=limits.messages_per_s,
                channels=session.entitled.channels_of(limits.channels),
                window_items=limits.window_items,
                ack_within_ms=int(limits.ack_within_s * 1000),
            ),
            channels=session.names,
        )
