"""The server's side of a conversation. This file owns what a client's frames lead to: metering, order, refusals.

A connection's messages are answered in the order they came. While one is being answered the next wait in the session's
inbox, which the message rate bounds.
"""

import asyncio

import structlog

from app.core.errors import ClientError, ErrorCode, NewsError
from app.core.limits import Limits, TokenBucket
from app.core.protocol import client_messages, frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.commands import Commands
from app.flows.connections.connect import Connect
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.catch_up import CatchUp
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.transport import Link
from app.telemetry.labels import Inbound, Invalid
from app.telemetry.stats import Stats

_INVALID = {ErrorCode.INVALID_JSON: Invalid.NOT_JSON, ErrorCode.UNKNOWN_TYPE: Invalid.UNKNOWN_TYPE}
_MALFORMED = (ErrorCode.INVALID_JSON, ErrorCode.INVALID_MESSAGE)
_MINUTE_S = 60.0
_MISBEHAVIOUR = {DisconnectReason.UNSUPPORTED_DATA: Invalid.BINARY, DisconnectReason.MESSAGE_TOO_BIG: Invalid.TOO_BIG}

_log = structlog.get_logger("converse")


class MessageDispatcher:
    """The server's side of every conversation. The link calls the `on_` methods; none of them waits."""

    def __init__(
        self,
        connections: ConnectionManager,
        greeting: Connect,
        commands: Commands,
        catch_up: CatchUp,
        limits: Limits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._connections = connections
        self._greeting = greeting
        self._commands = commands
        self._catch_up = catch_up
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._answering: set[asyncio.Task[None]] = set()

    def on_open(self, session: Session, link: Link) -> None:
        self._greeting.open(session, link)

    def on_data(self, size: int) -> None:
        self._stats.received_bytes += size

    def on_message(self, session: Session, text: str) -> None:
        if not self._is_within_rate(session, is_message=True):
            return
        session.queue_message(text)
        if not session.is_answering:
            session.is_answering = True
            task = asyncio.create_task(self._answer_all(session), name=f"answer-{session.id}")
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    def on_ping(self, session: Session, payload: bytes) -> None:
        if self._is_within_rate(session):
            self._connections.write(session, frames.pong_frame(payload))

    def on_pong(self, session: Session) -> None:
        if session.pinged_at > session.last_received_at:
            self._stats.pong_received(self._clock.monotonic() - session.pinged_at)
        self._is_within_rate(session)

    def on_fragment(self, session: Session) -> None:
        """Meter a frame whose message goes on: a message in crumbs, or without an end, is as dear as many."""
        self._is_within_rate(session)

    def on_violation(self, session: Session, ending: DisconnectReason) -> None:
        """End a connection whose client broke the WebSocket protocol or its limits."""
        if ending in _MISBEHAVIOUR:
            self._stats.message_refused(_MISBEHAVIOUR[ending])
        self._connections.disconnect(session, ending)

    def on_pause(self, session: Session) -> None:
        self._connections.slots.use_link(session)

    def on_resume(self, session: Session) -> None:
        self._connections.slots.use_send_many(session)
        session.progress_at = self._clock.monotonic()
        self._catch_up.wake(session)

    def on_closed(self, session: Session, ending: DisconnectReason) -> None:
        self._connections.release(session, ending)
        self._catch_up.wake(session)
        self._commands.end(session)

    async def stop(self, within_s: float) -> None:
        """Let the answers that are under way come to their end, and end those that do not."""
        if self._answering:
            _, late = await asyncio.wait(self._answering, timeout=within_s)
            for task in late:
                task.cancel()

    async def _answer_all(self, session: Session) -> None:
        try:
            while session.inbox and session.ending is None:
                await self._answer(session, session.next_message())
        # The edge between a client and us: whatever goes wrong inside ends this connection and no other.
        except Exception:  # noqa: BLE001
            _log.exception("answer_failed", connection_id=session.id)
            self._connections.disconnect(session, DisconnectReason.INTERNAL_ERROR)
        finally:
            session.is_answering = False

    async def _answer(self, session: Session, text: str) -> None:
        request_id = None
        try:
            message = client_messages.decode(text)
            request_id = message.id
            await self._commands.do(session, message)
            # An ack makes room in a window.
            self._catch_up.wake(session)
        except client_messages.InvalidMessage as refused:
            self._stats.message_refused(_INVALID.get(refused.error.code, Invalid.SCHEMA))
            if refused.error.code is ErrorCode.UNKNOWN_TYPE:
                self._stats.inbound[Inbound.UNKNOWN] += 1
            self._tell(session, refused.error, refused.request_id)
            if refused.error.code in _MALFORMED:
                self._note_mistake(session)
        except NewsError as error:
            self._tell(session, error, request_id)

    def _note_mistake(self, session: Session) -> None:
        """End a connection whose client goes on saying what nobody can read: it is broken, or means harm."""
        now, most = self._clock.monotonic(), self._limits.bad_messages_per_min
        if session.mistakes is None:
            session.mistakes = TokenBucket(most, now)
        if session.mistakes.take(now, most / _MINUTE_S, most) < 0:
            _log.warning("bad_messages", connection_id=session.id, user_id=session.user_id)
            self._connections.disconnect(session, DisconnectReason.TOO_MANY_BAD_MESSAGES)

    def _is_within_rate(self, session: Session, *, is_message: bool = False) -> bool:
        """Meter one inbound frame of any kind; answer or end who is too fast."""
        now = session.last_received_at = self._clock.monotonic()
        if session.ending is not None:
            return False
        if session.window is not None and session.answered < session.sent + session.delivered:
            # One frame for each item is what acknowledging takes.
            session.answered += 1
            return True
        left = session.bucket.take(now, self._limits.messages_per_s, self._limits.message_burst)
        if left >= 0:
            return True
        self._stats.message_refused(Invalid.RATE_LIMITED)
        if left <= -self._limits.message_burst:
            _log.warning("flooding", connection_id=session.id, user_id=session.user_id)
            self._connections.disconnect(session, DisconnectReason.RATE_LIMITED)
        elif is_message:
            retry_after_s = -left / self._limits.messages_per_s
            self._tell(
                session, ClientError(ErrorCode.RATE_LIMITED, "Too many requests", retry_after_s=retry_after_s), None
            )
        return False

    def _tell(self, session: Session, error: NewsError, request_id: str | int | None) -> None:
        self._connections.send(session, server_messages.error_message(error, self._clock.wall(), request_id))
