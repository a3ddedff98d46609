"""Descriptions of open connections and of recently closed ones, for operators."""

from collections import deque
from collections.abc import Iterable

import msgspec

from app.core.delivery.phases import Phase
from app.core.filters.filter import Filter
from app.core.protocol.close_codes import DisconnectReason
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.session import Session, buffered_bytes
from app.flows.delivery.slots import Slots
from app.ports.clock import Clock

_MAX_CLOSED = 1_000


class ConnectionInfo(msgspec.Struct, frozen=True):
    """One connection: its user and device, the address and User-Agent of its client, its filters, its traffic, where it
    is in the log, and why it ended.

    `opened_at` is in Unix seconds. `filters` has the filter of each channel, null if it cannot be read; it is empty for
    a closed connection. `duration_s` is the time since its admission. `idle_s` is the time since the last frame from
    its client. For a closed connection, both times are as of its end. `items` is the number of items that were sent.
    `behind_items` is the number of items that the connection has yet to read from the log; it is 0 unless the phase is
    replaying or lagging. `unacked_items` is the number of items that were sent and are not acknowledged. `reason` is
    null until the connection begins to end. `closed_at`, in Unix seconds, is null while the connection is open.
    """

    connection_id: str
    user_id: str
    device_id: str | None
    address: str
    agent: str
    opened_at: float
    channels: tuple[str, ...]
    filters: dict[str, Filter | None]
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
    """Describes connections, and keeps the descriptions of the 1,000 that closed last."""

    def __init__(self, slots: Slots, clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        self._closed: deque[ConnectionInfo] = deque(maxlen=_MAX_CLOSED)

    def record(self, session: Session, position: int) -> None:
        """Keep the description of a connection that has just closed; `position` is the seq that was broadcast last."""
        described = self._describe(session, position)
        # A thousand closed connections must not keep their filters in memory.
        self._closed.append(msgspec.structs.replace(described, filters={}, closed_at=self._clock.wall()))

    def closed(self) -> list[ConnectionInfo]:
        """Return the descriptions of the connections that closed last, starting with the one that
        closed most recently.
        """
        return list(reversed(self._closed))

    def describe(self, sessions: Iterable[Session], position: int) -> list[ConnectionInfo]:
        """Return the descriptions of open connections, newest first; `position` is the seq that was broadcast last."""
        described = (self._describe(session, position) for session in sessions)
        return sorted(described, key=lambda info: info.duration_s)

    def _describe(self, session: Session, position: int) -> ConnectionInfo:
        now = self._clock.monotonic()
        reads_log = session.phase in (Phase.REPLAYING, Phase.LAGGING)
        return ConnectionInfo(
            connection_id=session.id,
            user_id=session.user_id,
            device_id=session.device_id,
            address=session.peer.address,
            agent=session.peer.agent,
            opened_at=round(self._clock.wall() - (now - session.opened_at), 3),
            channels=session.channels.names,
            filters={channel.name: channel.filter for channel in session.channels},
            phase=session.phase,
            duration_s=round(now - session.opened_at, 3),
            items=session.sent + self._slots.delivered(session),
            behind_items=max(position - session.cursor, 0) if reads_log else 0,
            unacked_items=len(session.window) if session.window else 0,
            buffered_bytes=buffered_bytes(session),
            is_compressed=session.options.deflate_window_bits != UNCOMPRESSED,
            idle_s=round(now - session.last_received_at, 3),
            reason=session.disconnect_reason,
            closed_at=None,
        )
