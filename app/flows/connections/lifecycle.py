"""Open a connection after its upgrade was answered with status 101, send its first messages, and close it at its end.

Opening has no await, because an item that is broadcast in the middle of it could be missed.
"""

from app.core.delivery.phases import Phase
from app.core.errors import ErrorCode, ServerError
from app.core.limits import Limits
from app.core.protocol import server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.acks import Acks
from app.flows.delivery.catch_up import CatchUp
from app.flows.delivery.live import LiveSet
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Session, resumes
from app.ports.clock import Clock
from app.ports.transport import Link


class SessionLifecycle:
    """Opens and closes sessions."""

    def __init__(
        self,
        manager: ConnectionManager,
        live: LiveSet,
        resolver: StartResolver,
        acks: Acks,
        catch_up: CatchUp,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._manager = manager
        self._live = live
        self._resolver = resolver
        self._acks = acks
        self._catch_up = catch_up
        self._limits = limits
        self._clock = clock

    def open(self, session: Session, link: Link[Session]) -> None:
        """Open a prepared session, and send its first messages: a welcome (v2 only), a gap if items are missing, and an
        error if the filter of a channel cannot be read. A v2 client that resumes at the head of the log is sent `live`
        too.
        """
        self._acks.open_window(session)
        self._resolver.record_result(session)
        self._manager.open(session, link)
        if session.options.is_v2:
            self._live.send(session, self._welcome(session))
        gap = session.start.gap if session.start is not None else None
        if gap is not None and gap.items > 0:
            self._live.send(session, server_messages.gap_message(gap))
        if session.channels.has_unreadable_filter:
            # A filter that cannot be read matches no item: without this error the client would wait in vain.
            broken = ServerError(
                ErrorCode.INVALID_FILTER, "Your stored filter cannot be read: subscribe again to get items"
            )
            self._live.send(session, server_messages.error_message(broken, self._clock.wall()))
        if session.options.is_v2 and resumes(session) and session.phase is Phase.LIVE:
            # The client had everything. As after every other resume, it is told that the replay is over.
            self._live.send(session, server_messages.Live(session.opened_seq, 0))

    def close(self, session: Session, reason: DisconnectReason) -> None:
        """Release a session whose connection is closed or lost, and stop its catch-up and its wait for acks. May be
        called more than once.
        """
        self._manager.release(session, reason)
        self._catch_up.wake(session)
        self._acks.suspend(session)

    def _welcome(self, session: Session) -> server_messages.Welcome:
        log, limits = self._resolver.bounds, self._limits
        gap = session.start.gap if session.start is not None else None
        return server_messages.Welcome(
            connection_id=session.id,
            user_id=session.user_id,
            device_id=session.device_id or None,
            epoch=log.epoch,
            seq=self._live.position,
            oldest_seq=log.oldest,
            recovered=resumes(session) and gap is None,
            reason=gap.reason if gap is not None else None,
            heartbeat_ms=int(limits.heartbeats.interval_s * 1000),
            server_time=self._clock.wall(),
            limits=server_messages.WelcomeLimits(
                message_bytes=limits.messages.max_bytes,
                messages_per_s=limits.messages.rate_per_s,
                channels=session.token.entitled.max_channels_within(limits.filters.max_channels),
                window_items=limits.delivery.ack_window_items,
                ack_within_ms=int(limits.delivery.ack_timeout_s * 1000),
            ),
            channels=session.channels.names,
        )
