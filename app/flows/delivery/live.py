"""The connections that get items as they are broadcast, and how a connection leaves and joins them.

Nothing here waits for a client: frames are handed to transports. A connection whose client takes too little leaves live
delivery and reads the log at its own pace (`catch_up`).
"""

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from app.core.delivery.phases import Phase, PhaseEvent, should_disconnect
from app.core.filters.filter_index import FilterIndex
from app.core.limits import DeliveryLimits
from app.core.protocol import frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.fanout import Fanout, Outgoing
from app.flows.delivery.session import Channel, Session, buffered_bytes, is_window_full
from app.flows.delivery.slots import Slots
from app.ports.clock import Clock
from app.ports.transport import SendMany
from app.telemetry.labels import SlowAction
from app.telemetry.stats import Stats

# A connection that matches few of the items it reads is told where it is after this many of them.
_CHECKPOINT_READ_ITEMS = 1_000

_log = structlog.get_logger("live")


class LiveSet:
    """Which connections are live, and the ways to write to one connection or to many.

    `position` is the seq that was broadcast last. `lagging` holds the sessions that read the log from now on.
    """

    def __init__(
        self, send_many: SendMany, limits: DeliveryLimits, clock: Clock, stats: Stats, position: int = 0
    ) -> None:
        self.position = position
        self.last_item_at: float | None = None
        self.lagging: asyncio.Queue[Session] = asyncio.Queue()
        self.slots = Slots()
        self._fanout = Fanout(self.slots, send_many, limits, clock, stats)
        self._limits = limits
        self._clock = clock
        self._stats = stats

    @property
    def index(self) -> FilterIndex:
        return self.slots.index

    def begin(self, session: Session) -> None:
        """Let a session that just opened go live, or read the log first if it starts before the live position."""
        if session.disconnect_reason is not None:
            return
        if session.opened_seq == self.position and not session.token.entitled.min_delay_s:
            self.go_live(session)
        else:
            self._read_log(session)

    def go_live(self, session: Session) -> None:
        """Let a session that caught up get items as they are broadcast. No await between the check and this call."""
        if session.phase is Phase.LAGGING:
            self._stats.connections.record_slow(SlowAction.CAUGHT_UP)
        session.transition(PhaseEvent.CAUGHT_UP)
        self.slots.activate(session)

    def fall_behind(self, session: Session) -> None:
        """Take a session whose client took or acknowledged too little out of live delivery; it reads
        the log instead.
        """
        if session.phase is not Phase.LIVE:
            return
        is_full = is_window_full(session, self._limits.ack_window_items)
        self._stats.connections.record_slow(SlowAction.WINDOW_FULL if is_full else SlowAction.LAGGING)
        self._leave(session, PhaseEvent.FELL_BEHIND)
        _log.info("connection_lagging", connection_id=session.id, user_id=session.user_id, sequence=self.position)

    def rewind(self, session: Session, channels: Iterable[Channel], after: int) -> None:
        """Let a session read the log again after a seq, for some of its channels."""
        if session.phase is Phase.LIVE:
            self._leave(session, PhaseEvent.REWIND)
        else:
            session.transition(PhaseEvent.REWIND)
        for channel in channels:
            channel.cursor = after

    def has_room(self, session: Session) -> bool:
        """Return whether a client has taken and acknowledged enough to be sent more from the log."""
        is_full = is_window_full(session, self._limits.ack_window_items)
        return not is_full and buffered_bytes(session) <= self._limits.write_low_water_bytes

    def disconnect_if_stalled(self, session: Session, stalled_s: float) -> None:
        """Disconnect a client that took nothing for too long, or is too far behind."""
        if should_disconnect(session.phase, self.position - session.cursor, stalled_s, self._limits):
            self.disconnect_slow(session)

    def send(self, session: Session, message: server_messages.Message) -> None:
        """Send a message to one client."""
        self.write(session, frames.message_frame(message))

    def write(self, session: Session, frame: bytes) -> None:
        """Write a frame to one client. A client that keeps asking and does not read the answers is disconnected."""
        if session.link is None or session.disconnect_reason is not None:
            return
        session.link.write(frame)
        session.wrote(self._clock.monotonic())
        buffered, limit = session.link.buffered_bytes(), self._limits.write_high_water_bytes
        if buffered > 2 * limit:
            self.disconnect_slow(session)
        elif buffered > limit:
            self.fall_behind(session)

    def deliver(self, batch: Sequence[Outgoing]) -> None:
        """Write items to every slot that matched them; clients that have taken too little fall behind."""
        result = self._fanout.send(batch)
        self.advance_to(batch[-1].record.seq)
        for session in result.full:
            self.fall_behind(session)
        self.checkpoint(dict.fromkeys(result.due))

    def advance_to(self, seq: int) -> None:
        """Note that everything up to `seq` was broadcast."""
        self.position = seq
        self.last_item_at = self._clock.monotonic()

    def checkpoint(self, sessions: Iterable[Session]) -> None:
        """Tell clients up to which seq they have everything."""
        now = self._clock.monotonic()
        age_ms = None if self.last_item_at is None else int((now - self.last_item_at) * 1000)
        for session in sessions:
            seq = self.decided_seq(session)
            self.slots.flush_counts(session)
            message = server_messages.checkpoint_message(self._clock.wall(), seq, session.delivered, age_ms)
            session.checkpointed(seq, session.delivered)
            session.add_delivered(-session.delivered)
            self.send(session, message)

    def checkpoint_if_due(self, session: Session) -> None:
        """Send a checkpoint to a session that reads the log, after a number of items sent or read."""
        is_due = session.delivered >= self._limits.checkpoint_interval_items
        if is_due or session.cursor - session.checkpoint_seq >= _CHECKPOINT_READ_ITEMS:
            self.checkpoint([session])

    def decided_seq(self, session: Session) -> int:
        """Return the seq up to which every item was decided for a session."""
        return self.position if session.phase is Phase.LIVE else session.cursor

    def disconnect(self, session: Session, reason: DisconnectReason) -> None:
        """Take a session out of live delivery now and close its socket; one that is not open yet ends as it opens."""
        if session.disconnect_reason is None:
            if session.link is not None:
                self.slots.deactivate(session)
            session.end(reason)

    def disconnect_slow(self, session: Session) -> None:
        """Disconnect a client that takes too little."""
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
