"""At least once. This file owns acks: whose cursor stands where, what is sent again, and when cursors get to the disk.

A device has one cursor, whatever connection it uses; a user's connections without a device's name share one. It is on
the disk within a second of an ack, so what a crash forgets is sent again and nothing is skipped. What is not
acknowledged in time is read from the log again.
"""

from collections import OrderedDict

import structlog

from app.core import resuming
from app.core.closing import Ending
from app.core.errors import Code, FieldError, Ours, Theirs
from app.core.limits import Limits
from app.core.phases import Phase
from app.core.window import AckResult, Window
from app.flows.connections import ConnectionManager
from app.flows.resume import Resumption
from app.flows.session import Session
from app.ports import Clock, Cursor, CursorStore
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
        resumption: Resumption,
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
        self._windows: OrderedDict[Device, Window] = OrderedDict()
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
        start = resuming.resume(cursor.position, self._resumption.bounds)
        if start.gap is None:
            self._windows[_device(session)] = Window(start.after, start.after)
        elif session.asks_nothing:
            session.start = start

    def begin(self, session: Session) -> None:
        """Give a session that opens the window of its device; it begins behind what was acknowledged."""
        if not session.wants_acks:
            return
        device = _device(session)
        before = self._windows.get(device)
        if session.asks_nothing and before is not None:
            session.start = resuming.follow(before.acked, self._resumption.bounds)
        after = self._connections.position if session.start is None else session.start.after
        # A new one: the connection that had the device before may still write into its own.
        window = Window(after, after if before is None else before.sent)
        session.use_acks(window)
        self._remember(session, window)

    def end(self, session: Session) -> None:
        """Forget which items a connection that is gone was waiting for; where its device stands is kept."""
        if session.window is not None:
            session.window.rest()

    def take(self, session: Session, seq: int) -> int:
        """Take an ack, and give up to where everything is acknowledged now. Raises Theirs(INVALID_MESSAGE)."""
        window = session.window
        if window is None:
            raise Theirs(Code.INVALID_MESSAGE, "This connection has no acks: connect with ack=1")
        result, accepted_at = window.ack(seq, self._connections.reached(session))
        after_s = None if accepted_at is None else max(self._clock.wall() - accepted_at, 0.0)
        self._stats.recovery.acked(result, after_s)
        if result is AckResult.UNKNOWN:
            where = (FieldError("/seq", f"want at most {max(self._connections.reached(session), window.sent)}"),)
            raise Theirs(Code.INVALID_MESSAGE, "Nothing of this seq was sent", fields=where)
        if result is not AckResult.DUPLICATE:
            self._remember(session, window)
            self._skip_acknowledged(session, window.acked)
        return window.acked

    def look_after(self, session: Session, now: float) -> None:
        """Send again what was not acknowledged in time, and give up who never does; `now` in monotonic seconds."""
        if session.window is not None and session.window.waits_s(now) > self._limits.ack_within_s:
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
        except Ours as error:
            _log.warning("cursors_not_saved", cursors=len(moved), reason=error.code.value)
            self._unsaved = moved | self._unsaved

    def _send_again(self, session: Session, window: Window) -> None:
        if window.attempts >= self._limits.redeliveries:
            _log.warning("ack_timeout", connection_id=session.id, user_id=session.user_id, unacked_items=len(window))
            self._stats.recovery.redeliveries_exhausted += 1
            self._connections.cut(session, Ending.ACK_TIMEOUT)
            return
        window.rewind()
        self._connections.rewind(session, session.channels, window.acked)

    def _skip_acknowledged(self, session: Session, acked: int) -> None:
        """Let a session that reads the log again go on behind what came to be acknowledged meanwhile."""
        if session.phase is not Phase.LIVE:
            for channel in session.channels:
                channel.passed = max(channel.passed, acked)

    def _remember(self, session: Session, window: Window) -> None:
        device = _device(session)
        self._windows[device] = window
        self._windows.move_to_end(device)
        if len(self._windows) > _REMEMBERED_WINDOWS:
            self._windows.popitem(last=False)
        position = self._resumption.position(window.acked)
        self._unsaved[device] = Cursor(*device, position, self._clock.wall())


def _device(session: Session) -> Device:
    return session.user_id, session.device_id or ""
