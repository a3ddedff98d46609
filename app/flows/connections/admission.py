"""Who has a place on this server. This file owns the seats: how many there are and who takes over whose.

A connection of the same device takes the place of the one before it, which is mostly a ghost: a terminal that lost its
network and came back. A user whose places are all taken has them doubted: who does not answer a ping in time is gone,
so that a ghost keeps its user out for seconds and not until its heartbeat fails.
"""

from app.core.errors import ClientError, ErrorCode, ServerError
from app.core.limits import Limits
from app.core.protocol import frames
from app.flows.delivery.session import Session
from app.ports.clock import Clock

_FULL_RETRY_S = 30.0
_DOUBT_RETRY_S = 5.0


class Admission:
    """Every seat that is taken, also by sessions that are not open yet or not gone yet."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._seats: dict[str, Session] = {}
        # Tuples: most users have one connection, and a set is four times as large.
        self._by_user: dict[str, tuple[Session, ...]] = {}
        self._given = 0

    @property
    def users(self) -> int:
        return len(self._by_user)

    @property
    def is_full(self) -> bool:
        return len(self._seats) >= self._limits.connections

    def all_sessions(self) -> list[Session]:
        return list(self._seats.values())

    def sessions_of(self, user_id: str) -> list[Session]:
        """Give a user's sessions, oldest first."""
        return sorted(self._by_user.get(user_id, ()), key=lambda session: session.opened_at)

    def admit(self, user_id: str, device_id: str | None) -> Session:
        """Take a place. Raises Ours(AT_CAPACITY) and Theirs(TOO_MANY_CONNECTIONS).

        Whom the new session replaces keeps its own place until the new one opens, and does not count.
        """
        session = Session(self._next_id(), user_id, self._clock.monotonic(), self._limits.message_burst, device_id)
        replaced = self.displaced_by(session)
        if len(self._seats) - len(replaced) >= self._limits.connections:
            raise ServerError(ErrorCode.AT_CAPACITY, retry_after_s=_FULL_RETRY_S)
        staying = [one for one in self.sessions_of(user_id) if one.ending is None and one not in replaced]
        if len(staying) >= self._limits.connections_per_user:
            self._probe(staying)
            raise ClientError(
                ErrorCode.TOO_MANY_CONNECTIONS,
                f"This user has {self._limits.connections_per_user} connections already",
                retry_after_s=_DOUBT_RETRY_S,
            )
        self._seats[session.id] = session
        self._by_user[user_id] = (*self._by_user.get(user_id, ()), session)
        return session

    def displaced_by(self, session: Session) -> list[Session]:
        """Give whose place a session takes: its device's, or with one connection a user all of the user's."""
        others = (one for one in self.sessions_of(session.user_id) if one is not session and one.ending is None)
        if self._limits.is_one_per_user:
            return list(others)
        return [one for one in others if one.device_id is not None and one.device_id == session.device_id]

    def release(self, session: Session) -> bool:
        """Give a place back; False when it was given back before."""
        if self._seats.pop(session.id, None) is None:
            return False
        others = tuple(one for one in self._by_user[session.user_id] if one is not session)
        if others:
            self._by_user[session.user_id] = others
        else:
            del self._by_user[session.user_id]
        return True

    def _next_id(self) -> str:
        self._given += 1
        return f"c_{self._given:x}"

    def _probe(self, sessions: list[Session]) -> None:
        """Ask each whether it is there. Upkeep drops who does not answer."""
        now = self._clock.monotonic()
        for session in sessions:
            if session.link is not None and session.probed_at <= session.last_received_at:
                session.link.write(frames.ping_frame(b""))
                session.probed_at = session.pinged_at = now
