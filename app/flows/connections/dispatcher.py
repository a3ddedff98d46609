"""Meter a client's frames, answer its messages in order, and turn errors into error messages.

The messages of a connection are answered one at a time, in the order of their arrival. Messages that arrive while
another one is being answered wait in the session's inbox. How fast the inbox can grow is bounded by the message rate
limit.
"""

import asyncio

import structlog

from app.core.errors import ClientError, ErrorCode, NewsError
from app.core.limits import MessageLimits
from app.core.protocol import client_messages, frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.commands import Commands
from app.flows.connections.handler import BaseHandler
from app.flows.connections.lifecycle import SessionLifecycle
from app.flows.delivery.catch_up import CatchUp
from app.flows.delivery.inbox import Inbox
from app.flows.delivery.live import LiveSet
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.transport import Link
from app.telemetry.labels import Inbound, Invalid
from app.telemetry.stats import Stats

_INVALID = {ErrorCode.INVALID_JSON: Invalid.NOT_JSON, ErrorCode.UNKNOWN_TYPE: Invalid.UNKNOWN_TYPE}
_MALFORMED = (ErrorCode.INVALID_JSON, ErrorCode.INVALID_MESSAGE)
_VIOLATIONS = {DisconnectReason.UNSUPPORTED_DATA: Invalid.BINARY, DisconnectReason.MESSAGE_TOO_BIG: Invalid.TOO_BIG}

_log = structlog.get_logger("dispatcher")


class MessageDispatcher(BaseHandler):
    """The handler of every admitted connection. One instance serves them all."""

    def __init__(
        self,
        live: LiveSet,
        lifecycle: SessionLifecycle,
        commands: Commands,
        catch_up: CatchUp,
        limits: MessageLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._live = live
        self._lifecycle = lifecycle
        self._commands = commands
        self._catch_up = catch_up
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._answering: set[asyncio.Task[None]] = set()

    def on_open(self, session: Session, link: Link[Session]) -> None:
        self._lifecycle.open(session, link)

    def on_data(self, size: int) -> None:
        self._stats.connections.record_bytes(size)

    def on_message(self, session: Session, text: str) -> None:
        inbox = self._meter(session, text)
        if inbox is not None:
            inbox.push(text)
            self.process_waiting(session)

    def on_ping(self, session: Session, payload: bytes) -> None:
        if self._admits_frame(session):
            self._live.write(session, frames.pong_frame(payload))

    def on_pong(self, session: Session) -> None:
        if session.pinged_at > session.last_received_at:
            self._stats.connections.record_pong(self._clock.monotonic() - session.pinged_at)
        self._admits_frame(session)

    def on_violation(self, session: Session, reason: DisconnectReason) -> None:
        if reason in _VIOLATIONS:
            self._stats.connections.record_invalid(_VIOLATIONS[reason])
        self._live.disconnect(session, reason)

    def on_pause(self, session: Session) -> None:
        self._live.slots.use_link(session)

    def on_resume(self, session: Session) -> None:
        self._live.slots.use_send_many(session)
        self._catch_up.on_room(session)

    def on_closed(self, session: Session, reason: DisconnectReason) -> None:
        self._lifecycle.close(session, reason)

    def send(self, session: Session, message: server_messages.Message) -> None:
        """Send a message to one client."""
        self._live.send(session, message)

    def process_waiting(self, session: Session) -> None:
        """Start a task that answers the messages in the session's inbox. Does nothing if the inbox is empty or such a
        task is running already.
        """
        inbox = session.inbox
        if inbox and not inbox.is_answering:
            inbox.is_answering = True
            task = asyncio.create_task(self._answer_all(session, inbox), name=f"answer-{session.id}")
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def stop(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for the answers in progress, and cancel those that are not finished by then."""
        if self._answering:
            _, late = await asyncio.wait(self._answering, timeout=timeout_s)
            for task in late:
                task.cancel()

    async def _answer_all(self, session: Session, inbox: Inbox) -> None:
        try:
            while inbox and session.disconnect_reason is None:
                await self._answer(session, inbox.pop())
        # Any unexpected exception ends here: this client is disconnected, and the others are not affected.
        except Exception:  # noqa: BLE001
            _log.exception("answer_failed", connection_id=session.id)
            self._live.disconnect(session, DisconnectReason.INTERNAL_ERROR)
        finally:
            inbox.is_answering = False

    async def _answer(self, session: Session, text: str) -> None:
        request_id = None
        try:
            message = client_messages.decode(text)
            request_id = message.id
            await self._commands.execute(session, message)
            # If the message was an ack, the session's ack window may have room again: wake the catch-up reader, which
            # checks that.
            self._catch_up.wake(session)
        except client_messages.InvalidMessage as invalid:
            self._refuse(session, invalid)
        except NewsError as error:
            self._send_error(session, error, request_id)

    def _refuse(self, session: Session, invalid: client_messages.InvalidMessage) -> None:
        """Send the error for a message that could not be decoded. A client that sends more than `max_invalid_per_min`
        malformed messages (INVALID_JSON, INVALID_MESSAGE) a minute is disconnected. A message with an unknown type or
        an invalid filter does not count as malformed.
        """
        code = invalid.error.code
        self._stats.connections.record_invalid(_INVALID.get(code, Invalid.SCHEMA))
        if code is ErrorCode.UNKNOWN_TYPE:
            self._stats.connections.record_message(Inbound.UNKNOWN)
        self._send_error(session, invalid.error, invalid.request_id)
        if code not in _MALFORMED or session.inbox is None:
            return
        if session.inbox.take_invalid(self._clock.monotonic(), self._limits):
            _log.warning("bad_messages", connection_id=session.id, user_id=session.user_id)
            self._live.disconnect(session, DisconnectReason.TOO_MANY_BAD_MESSAGES)

    def _admits_frame(self, session: Session) -> bool:
        return self._meter(session) is not None

    def _meter(self, session: Session, text: str | None = None) -> Inbox | None:
        """Meter one frame of any kind; `text` is its text if it is a message. Return the session's inbox, or None if
        the frame must be ignored.

        A frame is ignored if the connection is ending or the client sends frames too fast. If the client is too fast
        and the frame is a message, an error is sent as its answer. A client that continues until it has sent `burst`
        frames too many is disconnected. An ack that acknowledges an item is not metered.
        """
        now = self._clock.monotonic()
        inbox = session.receive(now, self._limits.burst)
        if session.disconnect_reason is not None:
            return None
        if session.window is not None and text is not None:
            seq = client_messages.acknowledged_seq(text)
            if seq is not None and inbox.exempt(session.window, seq):
                return inbox
        left = inbox.take(now, self._limits)
        if left >= 0:
            return inbox
        self._stats.connections.record_invalid(Invalid.RATE_LIMITED)
        if left <= -self._limits.burst:
            _log.warning("flooding", connection_id=session.id, user_id=session.user_id)
            self._live.disconnect(session, DisconnectReason.RATE_LIMITED)
        elif text is not None:
            wait_s = -left / self._limits.rate_per_s
            error = ClientError(ErrorCode.RATE_LIMITED, "Too many requests", retry_after_s=wait_s)
            self._send_error(session, error, None)
        return None

    def _send_error(self, session: Session, error: NewsError, request_id: str | int | None) -> None:
        self._live.send(session, server_messages.error_message(error, self._clock.wall(), request_id))
