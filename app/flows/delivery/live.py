"""The live connections, which are sent items as they are broadcast, and how a connection leaves this set and returns to
it.

No function here waits for a client: frames are handed to transports. If a client reads or acknowledges too slowly, its
connection leaves the set, and items are read from the log for it at the client's pace (`catch_up`).
"""

import asyncio
from collections.abc import Iterable

import structlog

from app.core.delivery.phases import Phase, PhaseEvent, should_disconnect
from app.core.filters.filter_index import FilterIndex
from app.core.limits import DeliveryLimits
from app.core.protocol import frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.channel import Channel
from app.flows.delivery.session import Session, buffered_bytes, is_window_full
from app.flows.delivery.slots import Slots
from app.ports.clock import Clock
from app.telemetry.labels import SlowAction
from app.telemetry.stats import Stats

_log = structlog.get_logger("live")


class LiveSet:
    """The live connections, with the operations that move a connection into or out of this set or write to a
    connection.

    `position` is the live position: the seq up to which items were broadcast. `lagging` is the queue of sessions for
    which `CatchUp` has to start reading the log, whether they fell behind or have items to replay.
    """

    def __init__(self, limits: DeliveryLimits, clock: Clock, stats: Stats, position: int = 0) -> None:
        self.position = position
        self.lagging: asyncio.Queue[Session] = asyncio.Queue()
        self.slots = Slots()
        self._limits = limits
        self._clock = clock
        self._stats = stats

    @property
    def index(self) -> FilterIndex:
        return self.slots.index

    def begin(self, session: Session) -> None:
        """Start the delivery of items to a session that just opened: live, or from the log first.

        The log is read first if the session does not start at the live position, or if its token delays items. Does
        nothing if the session is being disconnected.
        """
        if session.disconnect_reason is not None:
            return
        if session.opened_seq == self.position and not session.token.entitled.min_delay_s:
            self.go_live(session)
        else:
            self._read_log(session)

    def go_live(self, session: Session) -> None:
        """Make a session live. It must have read every broadcast item, and the caller must not await between checking
        that and this call.
        """
        if session.phase is Phase.LAGGING:
            self._stats.connections.record_slow(SlowAction.CAUGHT_UP)
        session.transition(PhaseEvent.CAUGHT_UP)
        self.slots.activate(session)
        for channel in session.channels:
            # From here on the filter index decides. The compiled form of a filter with 200 phrases takes 0.2 MB.
            channel.compiled = None

    def fall_behind(self, session: Session) -> None:
        """Make a live session read the log instead, because its client reads or acknowledges too slowly.

        Does nothing if the session is not live.
        """
        if session.phase is not Phase.LIVE:
            return
        is_full = is_window_full(session, self._limits.ack_window_items)
        self._stats.connections.record_slow(SlowAction.WINDOW_FULL if is_full else SlowAction.LAGGING)
        self._leave(session, PhaseEvent.FELL_BEHIND)
        _log.info("connection_lagging", connection_id=session.id, user_id=session.user_id, sequence=self.position)

    def rewind(self, session: Session, channels: Iterable[Channel], after: int) -> None:
        """Make a session read the log, with the cursors of `channels` set to `after`.

        These channels then evaluate every item after that seq, even if they evaluated it before. The other channels
        continue where they are.
        """
        if session.phase is Phase.LIVE:
            self._leave(session, PhaseEvent.REWIND)
        else:
            session.transition(PhaseEvent.REWIND)
        for channel in channels:
            channel.cursor = after

    def has_room(self, session: Session) -> bool:
        """Return whether more items from the log may be sent to a client.

        That is the case while its ack window is not full and at most `write_low_water_bytes` are buffered for it.
        """
        is_full = is_window_full(session, self._limits.ack_window_items)
        return not is_full and buffered_bytes(session) <= self._limits.write_low_water_bytes

    def disconnect_if_stalled(self, session: Session, stalled_s: float) -> None:
        """Disconnect a client that has taken no byte for more than `stall_timeout_s`, or that lags by more than
        `max_lag_items`. `stalled_s` is how long it has taken no byte.
        """
        if should_disconnect(session.phase, self.position - session.cursor, stalled_s, self._limits):
            self.disconnect_slow(session)

    def send(self, session: Session, message: server_messages.Message) -> None:
        """Send a message to one client."""
        self.write(session, frames.message_frame(message))

    def write(self, session: Session, frame: bytes) -> None:
        """Write a frame to one client. Does nothing if the session is not open or is being disconnected.

        If more than `write_high_water_bytes` are buffered afterwards, the session falls behind: it gets no more items
        until the client has read most of these bytes. After that, practically only answers to the client's own messages
        fill the buffer. So above twice that limit the client is disconnected.
        """
        if session.link is None or session.disconnect_reason is not None:
            return
        session.link.write(frame)
        session.wrote(self._clock.monotonic())
        buffered, limit = session.link.buffered_bytes(), self._limits.write_high_water_bytes
        if buffered > 2 * limit:
            self.disconnect_slow(session)
        elif buffered > limit:
            self.fall_behind(session)

    def abandon(self, session: Session) -> None:
        """Disconnect a session after an error that may have left its state half changed. Its client must not be told
        that it has everything; it resumes from what it has. Raises no exception.
        """
        try:
            if session.disconnect_reason is None:
                self.disconnect(session, DisconnectReason.INTERNAL_ERROR)
                return
        except Exception:  # noqa: BLE001 - the socket can still be aborted
            _log.exception("disconnect_failed", connection_id=session.id)
        if session.link is not None:
            session.link.abort()

    def decided_seq(self, session: Session) -> int:
        """Return the seq up to which every item was matched or rejected for a session: the live position if the session
        is live, otherwise its cursor.
        """
        return self.position if session.phase is Phase.LIVE else session.cursor

    def disconnect(self, session: Session, reason: DisconnectReason) -> None:
        """Remove a session from live delivery and close its socket, unless it is being disconnected already.

        For a session that is not open yet, only the reason is recorded; the socket is closed when the session opens.
        """
        if session.disconnect_reason is None:
            if session.link is not None:
                self.slots.deactivate(session)
            session.end(reason)

    def disconnect_slow(self, session: Session) -> None:
        """Disconnect a client with the reason `slow_consumer`; this is logged and counted."""
        _log.warning(
            "slow_consumer",
            connection_id=session.id,
            user_id=session.user_id,
            buffered_bytes=buffered_bytes(session),
        )
        self._stats.connections.record_slow(SlowAction.DISCONNECTED)
        self.disconnect(session, DisconnectReason.SLOW_CONSUMER)

    def _leave(self, session: Session, event: PhaseEvent) -> None:
        self.slots.deactivate(session)
        session.transition(event)
        session.move_cursors(self.position)
        self._read_log(session)

    def _read_log(self, session: Session) -> None:
        if session.link is not None:
            session.link.set_write_limit(self._limits.write_low_water_bytes)
        self.lagging.put_nowait(session)
