"""How a connection begins. This file owns what a client may want, and the order: filters, window, place, welcome, gap.

What has to be looked up is looked up before the upgrade. Opening awaits nothing: from the check of where to begin to
the first item the log cannot move on unseen.
"""

from typing import NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.delivery.positions import ResumeRequest
from app.core.errors import ErrorCode, ServerError
from app.core.limits import Limits
from app.core.protocol import server_messages
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.delivery.acks import Acks
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Channel, Session
from app.ports.clock import Clock
from app.ports.transport import Link


class ConnectRequest(NamedTuple):
    """How a client wants its connection. `is_required`: rather none than one with a gap."""

    user_id: str
    device_id: str | None = None
    channels: tuple[Channel, ...] = ()
    asked: ResumeRequest | None = None
    is_required: bool = False
    wants_acks: bool = False
    is_v2: bool = False
    window_bits: int = UNCOMPRESSED
    expires_at: float | None = None
    entitled: Entitlement = UNRESTRICTED


class Connect:
    """Prepares seated sessions and opens them."""

    def __init__(
        self,
        connections: ConnectionManager,
        subscriptions: SubscriptionService,
        resumption: StartResolver,
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

    async def prepare(self, session: Session, opening: ConnectRequest) -> None:
        """Look up what a seated session needs. Raises Theirs(UNKNOWN_CHANNEL, RATE_LIMITED, RESUME_EXPIRED)."""
        session.is_v2 = opening.is_v2
        session.window_bits = opening.window_bits
        session.expires_at, session.entitled = opening.expires_at, opening.entitled
        session.use_channels(opening.channels)
        await self._subscriptions.prepare(session)
        if opening.asked is not None:
            await self._resumption.prepare(session, opening.asked, is_required=opening.is_required)
        elif session.entitled.min_delay_s:
            await self._resumption.start_delayed(session)
        if opening.wants_acks:
            await self._acks.prepare(session)

    def open(self, session: Session, link: Link) -> None:
        """Open a session, and say what its client has to know before the first item."""
        self._acks.open_window(session)
        self._resumption.record_result(session)
        self._connections.open(session, link)
        if session.is_v2:
            self._connections.send(session, self._welcome(session))
        gap = session.start.gap if session.start is not None else None
        if gap is not None and gap.items > 0:
            self._connections.send(session, server_messages.gap_message(gap))
        if session.has_unreadable_filter:
            # Where the stored filter lets nothing through because it cannot be read.
            broken = ServerError(
                ErrorCode.INVALID_FILTER, "Your stored filter cannot be read: subscribe again to get items"
            )
            self._connections.send(session, server_messages.error_message(broken, self._clock.wall()))

    def _welcome(self, session: Session) -> server_messages.Welcome:
        log, start, limits = self._resumption.bounds, session.start, self._limits
        gap = start.gap if start is not None else None
        return server_messages.Welcome(
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
            limits=server_messages.WelcomeLimits(
                message_bytes=limits.message_bytes,
                messages_per_s=limits.messages_per_s,
                channels=session.entitled.max_channels_within(limits.channels),
                window_items=limits.window_items,
                ack_within_ms=int(limits.ack_within_s * 1000),
            ),
            channels=session.channel_names,
        )
