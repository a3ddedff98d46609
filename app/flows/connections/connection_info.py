"""Who is and was connected, as operators see it. This file owns what is told of a connection, also after it ended."""

from collections import deque
from collections.abc import Iterable

import msgspec

from app.core.delivery.phases import Phase
from app.core.protocol.close_codes import DisconnectReason
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.session import Session
from app.flows.delivery.slots import Slots
from app.ports.clock import Clock

_REMEMBERED_VISITS = 1_000


class ConnectionInfo(msgspec.Struct, frozen=True):
    """A connection: who, for how long, what it got, how it stands to the log, what waits, why it ended."""

    connection_id: str
    user_id: str
    device_id: str | None
    channels: tuple[str, ...]
    phase: Phase
    duration_s: float
    items: int
    behind_items: int
    unacked_items: int
    buffered_bytes: int
    is_compressed: bool
    idle_s: float
    reason: DisconnectReason | None
    closed_at: float | None


class ConnectionHistory:
    """Describes connections, and remembers those that ended last."""

    def __init__(self, slots: Slots, clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        self._gone: deque[ConnectionInfo] = deque(maxlen=_REMEMBERED_VISITS)

    def record(self, session: Session, position: int) -> None:
        """Keep a connection that has ended."""
        self._gone.append(msgspec.structs.replace(self._describe(session, position), closed_at=self._clock.wall()))

    def closed(self) -> list[ConnectionInfo]:
        """Give those that ended last, newest first."""
        return list(reversed(self._gone))

    def describe(self, sessions: Iterable[Session], position: int) -> list[ConnectionInfo]:
        """Describe open connections, newest first."""
        visits = (self._describe(session, position) for session in sessions)
        return sorted(visits, key=lambda visit: visit.duration_s)

    def _describe(self, session: Session, position: int) -> ConnectionInfo:
        now = self._clock.monotonic()
        is_reading = session.phase in (Phase.REPLAYING, Phase.LAGGING)
        return ConnectionInfo(
            connection_id=session.id,
            user_id=session.user_id,
            device_id=session.device_id,
            channels=session.channel_names,
            phase=session.phase,
            duration_s=round(now - session.opened_at, 3),
            items=session.sent + self._slots.delivered(session),
            behind_items=max(position - session.cursor, 0) if is_reading else 0,
            unacked_items=len(session.window) if session.window else 0,
            buffered_bytes=session.link.buffered_bytes() if session.link is not None else 0,
            is_compressed=session.window_bits != UNCOMPRESSED,
            idle_s=round(now - session.last_received_at, 3),
            reason=session.ending,
            closed_at=None,
        )
