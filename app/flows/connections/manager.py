"""Who is connected. This file owns the registry of sessions, how they become live and stop being so, how they end.

Nothing here awaits a client: frames are handed to transports. A client that does not take them is taken out of the live
set and reads the log at its own pace (`catch_up`).
"""

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from app.core.delivery.phases import Phase, PhaseEvent
from app.core.errors import ClientError, ErrorCode, NewsError, ServerError
from app.core.filters.filter import DEFAULT_CHANNEL, Filter
from app.core.filters.filter_index import FilterIndex
from app.core.limits import Limits
from app.core.protocol import frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.admission import Admission
from app.flows.connections.connection_info import ConnectionHistory, ConnectionInfo
from app.flows.connections.ip_limits import IpLimiter
from app.flows.delivery.fanout import Fanout, Outgoing
from app.flows.delivery.session import Channel, Session
from app.flows.delivery.slots import Slots
from app.ports.clock import Clock
from app.ports.transport import Link, SendMany
from app.telemetry.labels import SlowAction
from app.telemetry.stats import Stats

_log = structlog.get_logger("connections")


class ConnectionManager:
    """Every connection, and the ways to write to one or to many.

    `behind` has the sessions that are to read the log from now on; `position` is the seq that was broadcast last.
    """

    def __init__(self, volley: SendMany, limits: Limits, clock: Clock, stats: Stats, position: int = 0) -> None:
        self.position = position
        self.last_item_at: float | None = None
        self.is_draining = False
        self.lagging: asyncio.Queue[Session] = asyncio.Queue()
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._places = Admission(limits, clock)
        self._addresses = IpLimiter(limits, clock, stats)
        self.slots = Slots()
        self._fanout = Fanout(self.slots, volley, limits, clock, stats)
        self._visits = ConnectionHistory(self.slots, clock)
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        """Count the open connections."""
        return len(self._open)

    @property
    def index(self) -> FilterIndex:
        return self.slots.index

    @property
    def users(self) -> int:
        return self._places.users

    @property
    def has_capacity(self) -> bool:
        """Say whether the limit leaves a place for another connection."""
        return not self._places.is_full

    def describe(self, *, are_open: bool) -> list[ConnectionInfo]:
        """Give the open connections, or the last thousand that ended, newest first."""
        return self._visits.describe(self._open.values(), self.position) if are_open else self._visits.closed()

    def check_connect_rate(self, address: str) -> None:
        """Meter one try to connect. Raises Theirs(RATE_LIMITED)."""
        self._addresses.check_rate(address)

    def admit(self, user_id: str, device_id: str | None = None, address: str = "") -> Session:
        """Reserve a place, before the upgrade. Raises Ours(DRAINING, AT_CAPACITY) and Theirs(TOO_MANY_CONNECTIONS)."""
        if self.is_draining:
            raise ServerError(ErrorCode.DRAINING, retry_after_s=5)
        self._addresses.acquire(address)
        try:
            session = self._places.admit(user_id, device_id)
        except NewsError:
            self._addresses.release(address)
            raise
        session.ip = address
        return session

    def open(self, session: Session, link: Link) -> None:
        """Open a seated session where it wants to begin; whom it replaces gets nothing from here on."""
        session.link = link
        # One that was itself replaced while it shook hands takes nobody's place.
        for old in self._places.displaced_by(session) if session.ending is None else ():
            if old.is_v2:
                self.send(old, server_messages.Preempted(session.id))
            self.disconnect(old, DisconnectReason.REPLACED)
        self._open[session.id] = session
        for channel in session.channels:
            self.slots.allocate(session, channel)
        self._begin(session)
        if session.ending is not None:
            link.close(session.ending)
        self._stats.connection_opened()
        _log.info("connection_opened", **_names(session))

    def _begin(self, session: Session) -> None:
        after = self.position if session.start is None else session.start.after
        session.checkpoint_seq = session.opened_seq = after
        session.move_cursors(after)
        for channel in session.channels:
            channel.filter_seq = after
        if session.ending is not None:
            return
        if after == self.position and not session.entitled.min_delay_s:
            self.go_live(session)
        else:
            self._let_read(session)

    def release(self, session: Session, ending: DisconnectReason) -> None:
        """Forget a session, once: what the server began to end keeps its own reason. Also gives back an unused seat."""
        if not self._places.release(session):
            return
        self._addresses.release(session.ip)
        if session.link is not None:
            self._close_books(session, session.ending or ending)

    def _close_books(self, session: Session, ending: DisconnectReason) -> None:
        for channel in session.channels:
            self.slots.free(channel)
        session.ending = ending
        session.transition(PhaseEvent.ENDED)
        del self._open[session.id]
        self._visits.record(session, self.position)
        life_s = self._clock.monotonic() - session.opened_at
        self._stats.connection_closed(ending, life_s)
        _log.info("connection_closed", **_names(session), reason=ending.value, duration_s=round(life_s, 3))

    def disconnect(self, session: Session, ending: DisconnectReason) -> None:
        """Take a session out of the live set now and let its socket go; a seat not open yet ends as it opens."""
        if session.ending is None:
            if session.link is not None:
                self.slots.deactivate(session)
            session.end(ending)

    def kick(self, connection_id: str) -> Session:
        """End a connection for good, because an operator says so. Raises Theirs(NOT_FOUND)."""
        session = self._open.get(connection_id)
        if session is None or session.ending is not None:
            raise ClientError(ErrorCode.NOT_FOUND, "No open connection has this id")
        _log.warning("connection_kicked", **_names(session))
        self.disconnect(session, DisconnectReason.KICKED)
        return session

    def disconnect_slow(self, session: Session) -> None:
        """Give a client up that takes too little."""
        buffered = session.link.buffered_bytes() if session.link else 0
        _log.warning("slow_consumer", **_names(session), buffered_bytes=buffered)
        self._stats.slow[SlowAction.DISCONNECTED] += 1
        self.disconnect(session, DisconnectReason.SLOW_CONSUMER)

    def go_live(self, session: Session) -> None:
        """Let a session that is level get items as they are broadcast. No await between the check and this."""
        if session.phase is Phase.LAGGING:
            self._stats.slow[SlowAction.CAUGHT_UP] += 1
        session.transition(PhaseEvent.CAUGHT_UP)
        self.slots.activate(session)

    def fall_behind(self, session: Session) -> None:
        """Take a session that took or acknowledged too little out of the live set; it reads the log from here."""
        if session.phase is not Phase.LIVE:
            return
        is_full = session.is_window_full(self._limits)
        self._stats.slow[SlowAction.WINDOW_FULL if is_full else SlowAction.LAGGING] += 1
        self._leave_live(session, PhaseEvent.FELL_BEHIND)
        _log.info("connection_lagging", **_names(session), sequence=self.position)

    def rewind(self, session: Session, channels: Iterable[Channel], after: int) -> None:
        """Let a session read the log again from behind `after`, for some of its channels."""
        if session.phase is Phase.LIVE:
            self._leave_live(session, PhaseEvent.REWIND)
        else:
            session.transition(PhaseEvent.REWIND)
        for channel in channels:
            channel.cursor = after

    def _leave_live(self, session: Session, event: PhaseEvent) -> None:
        self.slots.deactivate(session)
        session.transition(event)
        session.move_cursors(self.position)
        session.replayed = 0
        session.is_lag_told = False
        session.progress_at = self._clock.monotonic()
        self._let_read(session)

    def _let_read(self, session: Session) -> None:
        if session.link is not None:
            session.link.set_write_limit(self._limits.room_bytes)
        self.lagging.put_nowait(session)

    def send(self, session: Session, message: server_messages.Message) -> None:
        """Say something to one client alone."""
        self.write(session, frames.message_frame(message))

    def write(self, session: Session, frame: bytes) -> None:
        """Write a frame to one client alone. Who goes on asking and does not read the answers is given up."""
        if session.link is None or session.ending is not None:
            return
        session.link.write(frame)
        session.last_written_at = self._clock.monotonic()
        buffered, limit = session.link.buffered_bytes(), self._limits.write_buffer_bytes
        if buffered > 2 * limit:
            self.disconnect_slow(session)
        elif buffered > limit:
            self.fall_behind(session)

    def deliver(self, batch: Sequence[Outgoing]) -> None:
        """Write items to every slot that matched them; who has taken too little falls behind from here on."""
        outcome = self._fanout.send(batch)
        self.advance_to(batch[-1].record.seq)
        for session in outcome.full:
            self.fall_behind(session)
        self.checkpoint(dict.fromkeys(outcome.due))

    def advance_to(self, seq: int) -> None:
        """Remember that everything up to `seq` went to whom it matched."""
        self.position = seq
        self.last_item_at = self._clock.monotonic()

    def checkpoint(self, sessions: Iterable[Session]) -> None:
        """Tell clients up to where they hold everything."""
        now = self._clock.monotonic()
        age_ms = None if self.last_item_at is None else int((now - self.last_item_at) * 1000)
        for session in sessions:
            seq = self.decided_seq(session)
            self.slots.flush_counts(session)
            keep_alive = server_messages.checkpoint_message(self._clock.wall(), seq, session.delivered, age_ms)
            session.sent += session.delivered
            session.delivered = 0
            session.checkpoint_seq = seq
            self.send(session, keep_alive)

    def decided_seq(self, session: Session) -> int:
        """Give up to which seq everything was decided for a session."""
        return self.position if session.phase is Phase.LIVE else session.cursor

    def apply_stored_filter(self, user_id: str, wants: Filter, channel: str = DEFAULT_CHANNEL) -> None:
        """Apply a user's new stored filter to all of their connections that follow it."""
        for session in self._places.sessions_of(user_id):
            used = session.channel(channel)
            if used is not None and used.tracks_stored:
                self.set_channel_filter(session, used, wants)

    def detach_from_stored(self, user_id: str, name: str | None = None) -> None:
        """Let a user's connections keep what they have on a channel, or on all named ones, as their own."""
        for session in self._places.sessions_of(user_id):
            for channel in session.channels:
                if channel.name != DEFAULT_CHANNEL if name is None else channel.name == name:
                    channel.tracks_stored = False

    def set_channel_filter(self, session: Session, channel: Channel, wants: Filter) -> None:
        """Give a channel another filter, between two seqs."""
        channel.filter, channel.filter_seq = wants, self.decided_seq(session)
        if session.phase is Phase.LIVE:
            self.slots.put(channel)

    def join_channel(self, session: Session, channel: Channel) -> None:
        """Add a channel to an open session; it begins where the session stands."""
        channel.cursor = channel.filter_seq = self.decided_seq(session)
        self.slots.flush_counts(session)
        session.add_channel(channel)
        self.slots.allocate(session, channel)
        if session.phase is Phase.LIVE:
            self.slots.put(channel)

    def leave_channel(self, session: Session, channel: Channel) -> None:
        """Take a channel from an open session."""
        session.base_cursor = self.decided_seq(session)
        session.drop_channel(channel)
        self.slots.free(channel)

    def open_sessions(self) -> list[Session]:
        """Give the connections that are open and not ending."""
        return [session for session in self._open.values() if session.ending is None]

    def sessions_of(self, user_id: str) -> list[Session]:
        """Give a user's connections that are open and not ending."""
        return [
            session
            for session in self._places.sessions_of(user_id)
            if session.id in self._open and session.ending is None
        ]

    def all_sessions(self) -> list[Session]:
        """Give every session that has a place, also those that are not open yet or not gone yet."""
        return self._places.all_sessions()


def _names(session: Session) -> dict[str, str]:
    return {"connection_id": session.id, "user_id": session.user_id}
