"""Pending connections: open without a token, until their clients send the message `auth`.

Some clients cannot send a token in the upgrade request, because they can set neither a header nor a subprotocol. On a
server that requires tokens, a v2 client may therefore connect without one. Only v2 clients may, because they know close
code 4502, which tells them that no valid token arrived. The client has `auth.timeout_s` (five seconds by default) to
send its token.

Until the token is verified the connection is not admitted, has no filter and is not counted as open. The number of
pending connections is limited, and each of their frames is metered. Messages that follow `auth` wait in the inbox until
`auth` is answered.
"""

import asyncio
from typing import NamedTuple

import structlog

from app.core.access.identity import Identity
from app.core.errors import ClientError, ErrorCode, NewsError, ServerError
from app.core.limits import AuthLimits, MessageLimits
from app.core.protocol import client_messages, frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.connect import Connect, ConnectRequest
from app.flows.connections.dispatcher import MessageDispatcher
from app.flows.connections.handler import BaseHandler
from app.flows.connections.handshake_metrics import refusal_of
from app.flows.delivery.peer import Peer
from app.flows.delivery.session import Session
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.ports.transport import Link
from app.telemetry.labels import Inbound, Invalid, TokenCheck
from app.telemetry.stats import Stats

_RETRY_S = 5.0
_REASONS = {
    ErrorCode.UNAUTHORIZED: DisconnectReason.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN: DisconnectReason.UNAUTHENTICATED,
    ErrorCode.TOKEN_EXPIRED: DisconnectReason.TOKEN_EXPIRED,
    ErrorCode.DRAINING: DisconnectReason.SHUTDOWN,
    ErrorCode.INTERNAL: DisconnectReason.INTERNAL_ERROR,
}

_log = structlog.get_logger("pending_auth")


class UpgradeContext(NamedTuple):
    """The parts of an upgrade request without a token that are kept until the token arrives: what the client asks for,
    and its end of the connection.
    """

    request: ConnectRequest
    peer: Peer


class PendingConnections:
    """The set of all pending connections, and the services that their handlers share."""

    def __init__(
        self,
        verifier: Verifier,
        connect: Connect,
        dispatcher: MessageDispatcher,
        limits: AuthLimits,
        message_limits: MessageLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self.verifier = verifier
        self.connect = connect
        self.dispatcher = dispatcher
        self.limits = limits
        self.message_limits = message_limits
        self.clock = clock
        self.stats = stats
        self._waiting: set[PendingConnection] = set()

    def accept(self, context: UpgradeContext) -> "PendingConnection":
        """Accept a connection without a token, and return its handler.

        Raises ServerError(DRAINING) while the server shuts down, and ServerError(AT_CAPACITY) if there are too many
        admitted or too many pending connections.
        """
        self.connect.check_capacity()
        if len(self._waiting) >= self.limits.max_unauthenticated_connections:
            raise ServerError(ErrorCode.AT_CAPACITY, retry_after_s=_RETRY_S)
        pending = PendingConnection(self, context)
        self._waiting.add(pending)
        return pending

    def remove(self, pending: "PendingConnection") -> None:
        """Stop counting a connection as pending, because it was admitted, refused or closed. A second call does
        nothing.
        """
        self._waiting.discard(pending)


class PendingConnection(BaseHandler):
    """The handler of one pending connection, until the connection is admitted or ends."""

    def __init__(self, pending: PendingConnections, context: UpgradeContext) -> None:
        self.session = Session("pending", "", pending.clock.monotonic())
        self.session.configure((), context.request.options)
        self._all = pending
        self._context = context
        self._answering: asyncio.Task[None] | None = None
        self._timeout: asyncio.TimerHandle | None = None

    def on_open(self, session: Session, link: Link[Session]) -> None:
        session.open(link)
        self._timeout = asyncio.get_running_loop().call_later(self._all.limits.timeout_s, self._time_out)

    def on_data(self, size: int) -> None:
        self._all.stats.connections.record_bytes(size)

    def on_message(self, session: Session, text: str) -> None:
        if self._admits_frame(session) and session.inbox is not None:
            session.inbox.push(text)
            if self._answering is None:
                self._stop_timeout()
                self._answering = asyncio.create_task(self._answer(), name="pending-auth")

    def on_violation(self, session: Session, reason: DisconnectReason) -> None:
        self._leave()
        session.end(reason)

    def on_closed(self, session: Session, reason: DisconnectReason) -> None:
        self._leave()
        session.closed(reason)

    def _leave(self) -> None:
        self._all.remove(self)
        self._stop_timeout()

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()

    def _admits_frame(self, session: Session) -> bool:
        """Meter a frame, and return whether the connection may continue. A client without a token only has to send
        `auth`, so it is disconnected at its first frame above the message rate.
        """
        now, limits = self._all.clock.monotonic(), self._all.message_limits
        left = session.receive(now, limits.burst).take(now, limits)
        if left < 0 and session.disconnect_reason is None:
            self._all.stats.connections.record_invalid(Invalid.RATE_LIMITED)
            self.on_violation(session, DisconnectReason.RATE_LIMITED)
        return session.disconnect_reason is None

    def _time_out(self) -> None:
        self._all.stats.connections.record_token_check(TokenCheck.MISSING)
        detail = f"No auth message within {self._all.limits.timeout_s:g} seconds"
        self._refuse(ClientError(ErrorCode.UNAUTHORIZED, detail), None)

    async def _answer(self) -> None:
        request_id = None
        try:
            message = client_messages.decode(self.session.inbox.pop() if self.session.inbox is not None else "")
            request_id = message.id
            await self._enter(await self._verify(message), request_id)
        except client_messages.InvalidMessage as invalid:
            self._refuse(invalid.error, invalid.request_id, DisconnectReason.UNAUTHENTICATED)
        except NewsError as error:
            self._refuse(error, request_id)
        # Any unexpected exception ends here: this client is disconnected, and the others are not affected.
        except Exception:  # noqa: BLE001
            _log.exception("guest_failed")
            self._refuse(ServerError(ErrorCode.INTERNAL), request_id)

    async def _verify(self, message: client_messages.Message) -> Identity:
        """Return the identity that the token of an `auth` message proves.

        Raises ClientError(UNAUTHORIZED) if the message is not `auth` or its token is not valid,
        ClientError(TOKEN_EXPIRED), and ServerError if the keys are not available.
        """
        if not isinstance(message, client_messages.Auth):
            self._all.stats.connections.record_token_check(TokenCheck.MISSING)
            raise ClientError(ErrorCode.UNAUTHORIZED, "The first message must be auth, with a token")
        self._all.stats.connections.record_message(Inbound.AUTH)
        return await self._all.verifier.verify(message.token)

    async def _enter(self, identity: Identity, request_id: str | int | None) -> None:
        """Admit the connection, and hand its link and its waiting messages to the dispatcher. If the client left while
        the connection was being admitted, release the admitted session. Raises NewsError if the connection is not
        admitted.
        """
        pending, inbox, link = self._all, self.session.inbox, self.session.link
        session = await pending.connect.admit(self._context.request, identity, self._context.peer, inbox)
        if self.session.disconnect_reason is not None or link is None:
            pending.dispatcher.on_closed(session, DisconnectReason.NETWORK)
            return
        self._leave()
        link.switch_handler(session, pending.dispatcher)
        if request_id is not None and identity.expires_at is not None:
            refreshed = server_messages.Refreshed(identity.expires_at, request_id)
            pending.dispatcher.send(session, refreshed)
        pending.dispatcher.process_waiting(session)

    def _refuse(self, error: NewsError, request_id: str | int | None, reason: DisconnectReason | None = None) -> None:
        """Send an error and disconnect the client, unless the connection is already ending.

        If `reason` is None, the error's code determines the disconnect reason. `_REASONS` maps some codes to a reason.
        For any other code, the reason is RATE_LIMITED (close code 4029) if a retry may succeed, and UNAUTHENTICATED
        (4502) if not.
        """
        pending, session = self._all, self.session
        if session.disconnect_reason is not None or session.link is None:
            return
        names_user = self._context.request.user_id is not None
        pending.stats.connections.record_refusal(refusal_of(error, names_user=names_user))
        self._leave()
        message = server_messages.error_message(error, pending.clock.wall(), request_id)
        session.link.write(frames.message_frame(message))
        by_code = DisconnectReason.RATE_LIMITED if error.spec.is_retryable else DisconnectReason.UNAUTHENTICATED
        session.end(reason or _REASONS.get(error.code, by_code))
