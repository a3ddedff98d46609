"""At least once. This file owns acks: whose cursor stands where, what is sent again, and when cursors get to the disk.

A device has one cursor, whatever connection it uses; a user's connections without a device's name share one. It is on
the disk within a second of an ack, so what a crash forgets is sent again and nothing is skipped. What is not
acknowledged in time is read from the log again.
"""

from collections import OrderedDict

import structlog

from app.core.delivery import positions
from app.core.delivery.ack_window import AckResult, AckWindow
from app.core.delivery.phases import Phase
from app.core.errors import ClientError, ErrorCode, FieldError, ServerError
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.stores import Cursor, CursorStore
from app.telemetry.stats import Stats

_FLUSH_EVERY_S = 0.5
_REMEMBERED_WINDOWS = 10_000

Device = tuple[str, str]

_log = structlog.get_logger("acks")


class Acks:
    """The windows of devices that are here or were lately, and the way of their cursors to the disk."""

    def __init__(
        self,
        cursors: CursorStore,
        resumption: StartResolver,
        connections: ConnectionManager,
        limits: Limits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._cursors = cursors
        self._resumption = resumption
        self._connections = connections
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._windows: OrderedDict[Device, AckWindow] = OrderedDict()
        self._unsaved: dict[Device, Cursor] = {}

    async def prepare(self, session: Session) -> None:
        """Look up where the device of a seated session stands; one that is new stands on the disk before it is let in.

        Otherwise a crash right after the first items would forget that they were due to it. Raises Ours.
        """
        session.wants_acks = True
        device = _device(session)
        if device in self._windows:
            return
        cursor = await self._cursors.load(*device)
        if cursor is None:
            after = self._connections.position if session.start is None else session.start.after
            await self._cursors.save([Cursor(*device, self._resumption.position(after), self._clock.wall())])
        elif device not in self._windows:
            self._recall(session, cursor)

    def _recall(self, session: Session, cursor: Cursor) -> None:
        start = positions.resume(cursor.position, self._resumption.bounds)
        if start.gap is None:
            self._windows[_device(session)] = AckWindow(start.after, start.after)
        elif session.asks_nothing:
            session.start = start

    def open_window(self, session: Session) -> None:
        """Give a session that opens the window of its device; it begins behind what was acknowledged."""
        if not session.wants_acks:
            return
        device = _device(session)
        before = self._windows.get(device)
        if session.asks_nothing and before is not None:
            session.start = positions.resume_after(before.acked, self._resumption.bounds)
        after = self._connections.position if session.start is None else session.start.after
        # A new one: the connection that had the device before may still write into its own.
        window = AckWindow(after, after if before is None else before.sent)
        session.use_acks(window)
        self._remember(session, window)

    def suspend(self, session: Session) -> None:
        """Forget which items a connection that is gone was waiting for; where its device stands is kept."""
        if session.window is not None:
            session.window.suspend()

    def acknowledge(self, session: Session, seq: int) -> int:
        """Take an ack, and give up to where everything is acknowledged now. Raises Theirs(INVALID_MESSAGE)."""
        window = session.window
        if window is None:
            raise ClientError(ErrorCode.INVALID_MESSAGE, "This connection has no acks: connect with ack=1")
        result, accepted_at = window.acknowledge(seq, self._connections.decided_seq(session))
        after_s = None if accepted_at is None else max(self._clock.wall() - accepted_at, 0.0)
        self._stats.recovery.acked(result, after_s)
        if result is AckResult.UNKNOWN:
            where = (FieldError("/seq", f"want at most {max(self._connections.decided_seq(session), window.sent)}"),)
            raise ClientError(ErrorCode.INVALID_MESSAGE, "Nothing of this seq was sent", fields=where)
        if result is not AckResult.DUPLICATE:
            self._remember(session, window)
            self._skip_acknowledged(session, window.acked)
        return window.acked

    def redeliver(self, session: Session, now: float) -> None:
        """Send again what was not acknowledged in time, and give up who never does; `now` in monotonic seconds."""
        if session.window is not None and session.window.oldest_wait_s(now) > self._limits.ack_within_s:
            self._send_again(session, session.window)

    async def run_flushes(self) -> None:
        """Bring cursors that moved to the disk, for ever."""
        while True:
            await self._clock.sleep(_FLUSH_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Bring cursors that moved to the disk; what cannot be written is tried again."""
        moved, self._unsaved = self._unsaved, {}
        if not moved:
            return
        try:
            await self._cursors.save(list(moved.values()))
        except ServerError as error:
            _log.warning("cursors_not_saved", cursors=len(moved), reason=error.code.value)
            self._unsaved = moved | self._unsaved

    def _send_again(self, session: Session, window: AckWindow) -> None:
        if window.attempts >= self._limits.redeliveries:
            _log.warning("ack_timeout", connection_id=session.id, user_id=session.user_id, unacked_items=len(window))
            self._stats.recovery.redeliveries_exhausted += 1
            self._connections.disconnect(session, DisconnectReason.ACK_TIMEOUT)
            return
        window.rewind()
        self._connections.rewind(session, session.channels, window.acked)

    def _skip_acknowledged(self, session: Session, acked: int) -> None:
        """Let a session that reads the log again go on behind what came to be acknowledged meanwhile."""
        if session.phase is not Phase.LIVE:
            for channel in session.channels:
                channel.cursor = max(channel.cursor, acked)

    def _remember(self, session: Session, window: AckWindow) -> None:
        device = _device(session)
        self._windows[device] = window
        self._windows.move_to_end(device)
        if len(self._windows) > _REMEMBERED_WINDOWS:
            self._windows.popitem(last=False)
        position = self._resumption.position(window.acked)
        self._unsaved[device] = Cursor(*device, position, self._clock.wall())


def _device(session: Session) -> Device:
    return session.user_id, session.device_id or ""
