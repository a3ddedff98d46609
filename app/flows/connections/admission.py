"""Limits on the number of connections (in total, of one user, and from one address), and device takeover.

Device takeover means that a new connection of a device replaces the device's old one, which is usually dead: the client
lost its network and came back. When a connection is refused because its user has too many, the user's open connections
are pinged. A client that does not answer in time is disconnected. So a dead connection counts toward its user's limit
only for some seconds more, not until its heartbeat fails.
"""

from collections import Counter

from app.core.errors import ClientError, ErrorCode, ServerError
from app.core.limits import ConnectionLimits
from app.core.protocol import frames
from app.flows.delivery.peer import NO_PEER, Peer
from app.flows.delivery.session import Session
from app.ports.clock import Clock

_DRAINING_RETRY_S = 5.0
_FULL_RETRY_S = 30.0
_PROBE_RETRY_S = 5.0
_IP_RETRY_S = 5.0


class TooManyFromIp(ClientError):
    """Raised when an IP address already has `max_per_ip` connections. The error code is the same as for too many
    connections of a user; the class exists because the refusal has a metric label of its own.
    """


class Admission:
    """Admits and releases sessions. It holds every session from admission to release, whether the session is open yet
    or not.
    """

    def __init__(self, limits: ConnectionLimits, clock: Clock) -> None:
        self.is_draining = False
        self._limits = limits
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        # Tuples: most users have one connection, and a set takes four times the memory.
        self._by_user: dict[str, tuple[Session, ...]] = {}
        self._by_ip: Counter[str] = Counter()
        self._admitted = 0

    @property
    def users(self) -> int:
        """Return the number of users that have an admitted session."""
        return len(self._by_user)

    @property
    def has_capacity(self) -> bool:
        return len(self._sessions) < self._limits.max_total

    def check_capacity(self) -> None:
        """Raise ServerError(DRAINING) while the server shuts down, and ServerError(AT_CAPACITY) while it is full."""
        if self.is_draining:
            raise ServerError(ErrorCode.DRAINING, retry_after_s=_DRAINING_RETRY_S)
        if not self.has_capacity:
            raise ServerError(ErrorCode.AT_CAPACITY, retry_after_s=_FULL_RETRY_S)

    def admit(self, user_id: str, device_id: str | None = None, peer: Peer = NO_PEER) -> Session:
        """Admit a connection before it opens, and return its new session.

        Raises ServerError(DRAINING, AT_CAPACITY) and ClientError(TOO_MANY_CONNECTIONS). An old session that the new one
        displaces stays open until the new one opens. The old session is left out when the limits of the server and the
        user are checked, but it still counts toward the limit of its address.
        """
        if self.is_draining:
            raise ServerError(ErrorCode.DRAINING, retry_after_s=_DRAINING_RETRY_S)
        if peer.key and self._by_ip[peer.key] >= self._limits.max_per_ip:
            detail = f"This address already has {self._limits.max_per_ip} connections"
            raise TooManyFromIp(ErrorCode.TOO_MANY_CONNECTIONS, detail, retry_after_s=_IP_RETRY_S)
        session = Session(self._next_id(), user_id, self._clock.monotonic(), device_id, peer)
        displaced = self.displaced_by(session)
        if len(self._sessions) - len(displaced) >= self._limits.max_total:
            raise ServerError(ErrorCode.AT_CAPACITY, retry_after_s=_FULL_RETRY_S)
        self._check_user(user_id, displaced)
        self._add(session)
        return session

    def displaced_by(self, session: Session) -> list[Session]:
        """Return the sessions that `session` displaces: the other sessions of its user that have the same device id or,
        with `one_per_user`, all other sessions of its user. Without `one_per_user`, a session that has no device id
        displaces none. Sessions that are being disconnected are not included.
        """
        others = (one for one in self.sessions_of(session.user_id) if one is not session)
        staying = (one for one in others if one.disconnect_reason is None)
        if self._limits.one_per_user:
            return list(staying)
        return [one for one in staying if one.device_id is not None and one.device_id == session.device_id]

    def release(self, session: Session) -> bool:
        """Remove a session, so that it no longer counts toward any limit. Return False if it was removed before."""
        if self._sessions.pop(session.id, None) is None:
            return False
        others = tuple(one for one in self._by_user[session.user_id] if one is not session)
        if others:
            self._by_user[session.user_id] = others
        else:
            del self._by_user[session.user_id]
        if session.peer.key:
            self._by_ip[session.peer.key] -= 1
            if not self._by_ip[session.peer.key]:
                del self._by_ip[session.peer.key]
        return True

    def all_sessions(self) -> list[Session]:
        return list(self._sessions.values())

    def sessions_of(self, user_id: str) -> list[Session]:
        """Return a user's sessions, oldest first."""
        return sorted(self._by_user.get(user_id, ()), key=lambda session: session.opened_at)

    def _check_user(self, user_id: str, displaced: list[Session]) -> None:
        """Raise ClientError(TOO_MANY_CONNECTIONS) if a user already has `max_per_user` connections. Before that, probe
        these connections, so that dead ones are soon disconnected. Sessions in `displaced`, and sessions that are being
        disconnected, are not counted.
        """
        sessions = (one for one in self.sessions_of(user_id) if one.disconnect_reason is None)
        staying = [one for one in sessions if one not in displaced]
        if len(staying) < self._limits.max_per_user:
            return
        self._probe(staying)
        detail = f"This user already has {self._limits.max_per_user} connections"
        raise ClientError(ErrorCode.TOO_MANY_CONNECTIONS, detail, retry_after_s=_PROBE_RETRY_S)

    def _add(self, session: Session) -> None:
        self._sessions[session.id] = session
        self._by_user[session.user_id] = (*self._by_user.get(session.user_id, ()), session)
        if session.peer.key:
            self._by_ip[session.peer.key] += 1

    def _next_id(self) -> str:
        self._admitted += 1
        return f"c_{self._admitted:x}"

    def _probe(self, sessions: list[Session]) -> None:
        """Ping the client of each session that is open and not being probed already. `Housekeeping` disconnects the
        clients that do not answer within `liveness_probe_timeout_s`.
        """
        now = self._clock.monotonic()
        for session in sessions:
            if session.link is not None and session.probed_at <= session.last_received_at:
                session.link.write(frames.ping_frame(b""))
                session.pinged(now, is_probe=True)
