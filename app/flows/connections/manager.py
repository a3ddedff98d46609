"""The register of open connections: opening and releasing them, and changing the filters of their channels."""

import structlog

from app.core.delivery.phases import Phase
from app.core.errors import ClientError, ErrorCode
from app.core.filters.filter import DEFAULT_CHANNEL, Filter
from app.core.protocol import server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.admission import Admission
from app.flows.connections.connection_info import ConnectionHistory, ConnectionInfo
from app.flows.delivery.channel import Channel
from app.flows.delivery.live import LiveSet
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.transport import Link
from app.telemetry.stats import Stats

_log = structlog.get_logger("connections")


class ConnectionManager:
    """The register of all open connections, including those that are being disconnected. `LiveSet` decides which items
    each connection is sent.
    """

    def __init__(self, admission: Admission, live: LiveSet, clock: Clock, stats: Stats) -> None:
        self._admission = admission
        self._live = live
        self._clock = clock
        self._stats = stats
        self._history = ConnectionHistory(live.slots, clock)
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    def describe(self, *, are_open: bool) -> list[ConnectionInfo]:
        """Return descriptions of the open connections, newest first. If `are_open` is False, return descriptions of the
        connections that closed last, starting with the most recently closed one.
        """
        return self._history.describe(self._open.values(), self._live.position) if are_open else self._history.closed()

    def open(self, session: Session, link: Link[Session]) -> None:
        """Attach the socket to an admitted session. From now on the session gets the items after its start in the log.

        The old sessions that this session displaces are disconnected. If this session was itself disconnected before it
        opened, its socket is closed at once.
        """
        session.open(link, self._live.position if session.start is None else session.start.after)
        # A session that was displaced during its own handshake must not displace others.
        for old in self._admission.displaced_by(session) if session.disconnect_reason is None else ():
            if old.options.is_v2:
                self._live.send(old, server_messages.Preempted(session.id))
            self._live.disconnect(old, DisconnectReason.REPLACED)
        self._open[session.id] = session
        for channel in session.channels:
            self._live.slots.allocate(session, channel)
        self._live.begin(session)
        if session.disconnect_reason is not None:
            link.close(session.disconnect_reason)
        self._stats.connections.record_open()
        _log.info("connection_opened", connection_id=session.id, user_id=session.user_id)

    def release(self, session: Session, reason: DisconnectReason) -> None:
        """Release a session, whether it was opened or not. Only the first call has an effect. `reason` is recorded only
        if the session has no disconnect reason yet.
        """
        if self._admission.release(session) and session.link is not None:
            self._close(session, reason)

    def _close(self, session: Session, reason: DisconnectReason) -> None:
        for channel in session.channels:
            self._live.slots.free(channel)
        session.closed(reason)
        # A session that failed to open may not be registered.
        self._open.pop(session.id, None)
        self._history.record(session, self._live.position)
        final, duration_s = session.disconnect_reason or reason, self._clock.monotonic() - session.opened_at
        self._stats.connections.record_close(final, duration_s)
        _log.info(
            "connection_closed",
            connection_id=session.id,
            user_id=session.user_id,
            reason=final.value,
            duration_s=round(duration_s, 3),
        )

    def kick(self, connection_id: str) -> Session:
        """Disconnect one connection on an operator's request, and return its session. The close code tells the client
        not to reconnect.

        Raises ClientError(NOT_FOUND) if no open connection has this id, or if it is being disconnected already.
        """
        session = self._open.get(connection_id)
        if session is None or session.disconnect_reason is not None:
            raise ClientError(ErrorCode.NOT_FOUND, "No open connection has this id")
        _log.warning("connection_kicked", connection_id=session.id, user_id=session.user_id)
        self._live.disconnect(session, DisconnectReason.KICKED)
        return session

    def kick_user(self, user_id: str) -> int:
        """Disconnect all of a user's connections, also those that are not open yet. Return how many were disconnected.
        The close code tells the clients not to reconnect.
        """
        sessions = [one for one in self._admission.sessions_of(user_id) if one.disconnect_reason is None]
        for session in sessions:
            self._live.disconnect(session, DisconnectReason.KICKED)
        return len(sessions)

    def apply_stored_filter(self, user_id: str, wanted: Filter, name: str = DEFAULT_CHANNEL) -> None:
        """Apply a user's new stored filter for channel `name` to each of the user's connections on which this channel
        tracks the stored filter.
        """
        for session in self._admission.sessions_of(user_id):
            channel = session.channels.find(name)
            if channel is not None and channel.tracks_stored:
                self.set_channel_filter(session, channel, wanted)

    def detach_from_stored(self, user_id: str, name: str | None = None) -> None:
        """Stop channels of a user's connections from tracking the stored filter, because it was deleted. Each channel
        keeps the filter that it has. With a `name`, this applies to the channels of that name; without one, to all
        channels except `default`.
        """
        for session in self._admission.sessions_of(user_id):
            for channel in session.channels:
                if channel.name != DEFAULT_CHANNEL if name is None else channel.name == name:
                    channel.tracks_stored = False

    def set_channel_filter(self, session: Session, channel: Channel, wanted: Filter) -> None:
        """Replace a channel's filter. The new filter applies to the items that the session has not evaluated yet."""
        channel.filter, channel.filter_seq = wanted, self._live.decided_seq(session)
        if session.phase is Phase.LIVE:
            self._live.slots.put(channel)

    def join_channel(self, session: Session, channel: Channel) -> None:
        """Add a channel to an open session. The channel gets the items that the session has not evaluated yet."""
        channel.cursor = channel.filter_seq = self._live.decided_seq(session)
        self._live.slots.flush_counts(session)
        session.add_channel(channel)
        self._live.slots.allocate(session, channel)
        if session.phase is Phase.LIVE:
            self._live.slots.put(channel)

    def leave_channel(self, session: Session, channel: Channel) -> None:
        """Remove a channel from an open session."""
        session.drop_channel(channel, self._live.decided_seq(session))
        self._live.slots.free(channel)

    def open_sessions(self) -> list[Session]:
        """Return the sessions that are open and not being disconnected."""
        return [session for session in self._open.values() if session.disconnect_reason is None]

    def sessions_of(self, user_id: str) -> list[Session]:
        """Return a user's sessions that are open and not being disconnected."""
        sessions = self._admission.sessions_of(user_id)
        return [session for session in sessions if session.id in self._open and session.disconnect_reason is None]
