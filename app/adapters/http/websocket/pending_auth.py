"""Who says after the upgrade who he is. This file owns the time between a 101 without a token and the message `auth`.

Some clients can set neither a header nor a subprotocol. Who speaks v2, and so knows 4502, is let in without a token
where tokens are asked for, and has five seconds. Until then it has no seat, no filter and no place in any count; there
may be only so many of these, what they send is metered as everybody's, and what comes behind `auth` waits until it is
answered.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from app.adapters.http.websocket.handshake_metrics import refusal
from app.adapters.http.websocket.link import SocketLink
from app.core.access.identity import Identity
from app.core.errors import ClientError, ErrorCode, NewsError, ServerError
from app.core.limits import Limits
from app.core.protocol import client_messages, frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.connect import Connect, ConnectRequest
from app.flows.connections.dispatcher import MessageDispatcher
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.session import Session
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.ports.transport import Link
from app.telemetry.labels import Inbound, Invalid, TokenCheck
from app.telemetry.stats import Stats

_AGAIN_S = 5.0
_ENDINGS = {
    ErrorCode.UNAUTHORIZED: DisconnectReason.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN: DisconnectReason.UNAUTHENTICATED,
    ErrorCode.TOKEN_EXPIRED: DisconnectReason.TOKEN_EXPIRED,
    ErrorCode.DRAINING: DisconnectReason.SHUTDOWN,
    ErrorCode.INTERNAL: DisconnectReason.INTERNAL_ERROR,
}

_log = structlog.get_logger("anteroom")


class UpgradeContext(NamedTuple):
    """What an upgrade without a token leaves behind: its query, its address, and what it opens for whom."""

    query: Mapping[str, str]
    address: str
    window_bits: int
    opening_for: Callable[[Identity], ConnectRequest]


class PendingConnections:
    """Those who are in and have not said yet who they are."""

    def __init__(
        self,
        verifier: Verifier | None,
        connections: ConnectionManager,
        greeting: Connect,
        converse: MessageDispatcher,
        limits: Limits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self.verifier = verifier
        self.connections = connections
        self.greeting = greeting
        self.converse = converse
        self.limits = limits
        self.clock = clock
        self.stats = stats
        self._guests: set[PendingConnection] = set()

    def accept(self, ticket: UpgradeContext) -> "PendingConnection":
        """Take a guest. Raises Ours(DRAINING, AT_CAPACITY)."""
        if self.connections.is_draining:
            raise ServerError(ErrorCode.DRAINING, retry_after_s=_AGAIN_S)
        if len(self._guests) >= self.limits.guests or not self.connections.has_capacity:
            raise ServerError(ErrorCode.AT_CAPACITY, retry_after_s=_AGAIN_S)
        guest = PendingConnection(self, ticket)
        self._guests.add(guest)
        return guest

    def forget(self, guest: "PendingConnection") -> None:
        """Keep no place for a guest that was seated, or has gone."""
        self._guests.discard(guest)


class PendingConnection:
    """One connection's conversation until it has said who it is."""

    def __init__(self, room: PendingConnections, ticket: UpgradeContext) -> None:
        now = room.clock.monotonic()
        self.session = Session("guest", "", now, room.limits.message_burst)
        self.session.window_bits = ticket.window_bits
        self._room = room
        self._ticket = ticket
        self._answering: asyncio.Task[None] | None = None
        self._too_late: asyncio.TimerHandle | None = None

    def on_open(self, session: Session, link: Link) -> None:
        session.link = link
        self._too_late = asyncio.get_running_loop().call_later(self._room.limits.auth_within_s, self._give_up)

    def on_data(self, size: int) -> None:
        self._room.stats.received_bytes += size

    def on_message(self, session: Session, text: str) -> None:
        if self._is_within_rate():
            session.queue_message(text)
            if self._answering is None:
                self._stop_waiting()
                self._answering = asyncio.create_task(self._answer(), name="guest")

    def on_ping(self, session: Session, payload: bytes) -> None:
        if self._is_within_rate() and session.link is not None:
            session.link.write(frames.pong_frame(payload))

    def on_pong(self, session: Session) -> None:  # noqa: ARG002 - every conversation hears it
        self._is_within_rate()

    def on_fragment(self, session: Session) -> None:  # noqa: ARG002 - every conversation hears it
        self._is_within_rate()

    def on_pause(self, session: Session) -> None:
        """Ignore it: a guest is told next to nothing."""

    def on_resume(self, session: Session) -> None:
        """Ignore it."""

    def on_violation(self, session: Session, ending: DisconnectReason) -> None:
        self._leave()
        session.end(ending)

    def on_closed(self, session: Session, ending: DisconnectReason) -> None:
        self._leave()
        session.ending = session.ending or ending

    def _leave(self) -> None:
        self._room.forget(self)
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()

    def _is_within_rate(self) -> bool:
        """Meter a frame. A guest has one thing to say, so who is too fast goes at once."""
        room, session = self._room, self.session
        left = session.bucket.take(room.clock.monotonic(), room.limits.messages_per_s, room.limits.message_burst)
        if left < 0 and session.ending is None:
            room.stats.message_refused(Invalid.RATE_LIMITED)
            self._leave()
            session.end(DisconnectReason.RATE_LIMITED)
        return session.ending is None

    def _give_up(self) -> None:
        self._room.stats.token_checks[TokenCheck.MISSING] += 1
        self._refuse(
            ClientError(ErrorCode.UNAUTHORIZED, f"No auth within {self._room.limits.auth_within_s:g} seconds"), None
        )

    async def _answer(self) -> None:
        request_id = None
        try:
            message = client_messages.decode(self.session.next_message())
            request_id = message.id
            await self._enter(await self._identify(message), request_id)
        except client_messages.InvalidMessage as refused:
            self._refuse(refused.error, refused.request_id, DisconnectReason.UNAUTHENTICATED)
        except NewsError as error:
            self._refuse(error, request_id)
        # The edge between a client and us: whatever goes wrong inside ends this connection and no other.
        except Exception:  # noqa: BLE001
            _log.exception("guest_failed")
            self._refuse(ServerError(ErrorCode.INTERNAL), request_id)

    async def _identify(self, message: client_messages.Message) -> Identity:
        """Raises Theirs(UNAUTHORIZED, TOKEN_EXPIRED) and Ours."""
        if not isinstance(message, client_messages.Auth) or self._room.verifier is None:
            self._room.stats.token_checks[TokenCheck.MISSING] += 1
            raise ClientError(ErrorCode.UNAUTHORIZED, "Say first who you are: auth with a token")
        self._room.stats.inbound[Inbound.AUTH] += 1
        return await self._room.verifier.verify(message.token)

    async def _enter(self, identity: Identity, request_id: str | int | None) -> None:
        """Seat the guest and let it say the rest to whom it would have spoken from the start. Raises NewsError."""
        room, opening = self._room, self._ticket.opening_for(identity)
        session = room.connections.admit(opening.user_id, opening.device_id, self._ticket.address)
        session.bucket = self.session.bucket
        try:
            await room.greeting.prepare(session, opening)
            link = self.session.link
            if self.session.ending is None and isinstance(link, SocketLink):
                self._leave()
                link.switch_handler(session, room.converse)
        finally:
            if session.link is None:
                room.connections.release(session, DisconnectReason.NETWORK)
        if session.link is None:
            return
        if request_id is not None and session.expires_at is not None:
            room.connections.send(session, server_messages.Refreshed(session.expires_at, request_id))
        for text in self.session.inbox:
            room.converse.on_message(session, text)

    def _refuse(self, error: NewsError, request_id: str | int | None, ending: DisconnectReason | None = None) -> None:
        """Say what is wrong and end; 4029 where coming again is all that it takes."""
        room, session = self._room, self.session
        if session.ending is not None or session.link is None:
            return
        room.stats.refused[refusal(error, self._ticket.query)] += 1
        self._leave()
        session.link.write(frames.message_frame(server_messages.error_message(error, room.clock.wall(), request_id)))
        by_code = DisconnectReason.RATE_LIMITED if error.spec.is_retryable else DisconnectReason.UNAUTHENTICATED
        session.end(ending or _ENDINGS.get(error.code, by_code))
