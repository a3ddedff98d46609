"""At-least-once delivery: redeliver items that are not acknowledged, and store up to which seq each device has
acknowledged.

This seq is the device's cursor. A device keeps its cursor from one connection to the next; a user's connections without
a device id share one cursor. A cursor is on disk within a second of an ack. So after a crash some items may be sent
again, but none is skipped. Items that are not acknowledged within `ack_timeout_s` are read from the log and sent again.

An item that is sent again is marked as redelivered, also after a restart: the highest seq that was sent to a device is
stored when the device disconnects. If the server is killed while a device is connected, every item that was in the log
by then may have been sent, and is marked.
"""

import asyncio
from collections import OrderedDict

import structlog

from app.core.delivery import positions
from app.core.delivery.ack_window import AckResult, AckWindow
from app.core.delivery.phases import Phase
from app.core.errors import ClientError, ErrorCode, FieldError, ServerError
from app.core.limits import DeliveryLimits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.live import LiveSet
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Session, resumes
from app.ports.clock import Clock
from app.ports.stores import Cursor, CursorStore
from app.telemetry.labels import LimitHit
from app.telemetry.stats import Stats

_FLUSH_INTERVAL_S = 0.5
_MAX_WINDOWS = 10_000

Device = tuple[str, str]

_log = structlog.get_logger("acks")


class Acks:
    """Processes acks, redelivers items, and stores the cursor of each device.

    In memory it keeps the ack windows of the `_MAX_WINDOWS` devices that connected or acknowledged most recently, and
    the cursors that are not on disk yet.
    """

    def __init__(
        self,
        cursors: CursorStore,
        resolver: StartResolver,
        live: LiveSet,
        limits: DeliveryLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._cursors = cursors
        self._resolver = resolver
        self._live = live
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._windows: OrderedDict[Device, AckWindow] = OrderedDict()
        self._unsaved: dict[Device, Cursor] = {}
        self._saving = asyncio.Lock()
        # Up to here, items may have been sent to devices by earlier runs of the server.
        self._head_at_start = live.position

    async def prepare(self, session: Session) -> None:
        """Load the cursor of an admitted session's device, unless the device's ack window is still in memory, and store
        that the device is connected. If the device has no cursor, store a first one. Raises ServerError, and
        ClientError(LIMIT_REACHED) if the user has too many devices.

        This is stored before the device is sent any item. Otherwise a crash right after the first items would lose the
        position from which the device must get them again, or that they were sent.
        """
        device = _device(session)
        if device not in self._windows:
            cursor = await self._cursors.load(*device)
            if cursor is None:
                await self._check_space(session.user_id)
                after = self._live.position if session.start is None else session.start.after
                await self._cursors.save([self._cursor(device, after)])
                return
            if device not in self._windows:
                self._restore(session, cursor)
        window = self._windows.get(device)
        if window is not None:
            self._unsaved[device] = self._cursor(device, window.acked)
            # A device that is known may connect even if nothing can be stored now: only a mark is at stake.
            await self.flush()

    async def _check_space(self, user_id: str) -> None:
        """Raise ClientError(LIMIT_REACHED) if a user has cursors of too many devices. The cursor of a device that was
        not used for 30 days is deleted by `Retention`.
        """
        most = self._limits.max_devices_per_user
        if await self._cursors.count(user_id) >= most:
            self._stats.connections.record_stored_limit(LimitHit.DEVICES)
            detail = f"The acks of {most} devices are stored already: use one of their device ids"
            raise ClientError(ErrorCode.LIMIT_REACHED, detail)

    def _restore(self, session: Session, cursor: Cursor) -> None:
        start = positions.resume(cursor.position, self._resolver.bounds)
        if start.gap is None or start.gap.reason is positions.GapReason.EXPIRED:
            sent = self._head_at_start if cursor.sent is None else cursor.sent
            self._windows[_device(session)] = AckWindow(start.after, max(start.after, sent))
        if start.gap is not None and not resumes(session):
            session.start_at(start)

    def open_window(self, session: Session) -> None:
        """Attach a new ack window to an opening session that uses acks.

        If the device's last ack is known and the client did not ask where to start, the session starts after that ack.
        """
        if not session.options.uses_acks:
            return
        device = _device(session)
        before = self._windows.get(device)
        if not resumes(session) and before is not None:
            session.start_at(positions.resume_after(before.acked, self._resolver.bounds))
        after = self._live.position if session.start is None else session.start.after
        # Each connection gets a window of its own, because the device's previous connection may still add items to the
        # old one.
        window = AckWindow(after, after if before is None else before.sent)
        session.use_acks(window)
        self._remember(session, window)

    def suspend(self, session: Session) -> None:
        """Stop waiting for acks of a closed session. The ack window and cursor of its device are kept for the next
        connection, and what was sent to the device is stored at the next flush.
        """
        window = session.window
        if window is None:
            return
        window.suspend()
        if self._windows.get(_device(session)) is window:
            self._unsaved[_device(session)] = self._cursor(_device(session), window.acked, window.sent)

    def acknowledge(self, session: Session, seq: int) -> int:
        """Apply an ack and return the highest acknowledged seq.

        Raises ClientError(INVALID_MESSAGE) if the session does not use acks, or if `seq` is above that of every item
        that was sent to the session's device or evaluated for the session.
        """
        window = session.window
        if window is None:
            raise ClientError(ErrorCode.INVALID_MESSAGE, "This connection does not use acks: connect with ack=1")
        decided_seq = self._live.decided_seq(session)
        result, accepted_at = window.acknowledge(seq, decided_seq)
        after_s = None if accepted_at is None else max(self._clock.wall() - accepted_at, 0.0)
        self._stats.recovery.record_ack(result, after_s)
        if result is AckResult.UNKNOWN:
            where = (FieldError("/seq", f"must be at most {max(decided_seq, window.sent)}"),)
            raise ClientError(ErrorCode.INVALID_MESSAGE, "Nothing with this seq was sent", fields=where)
        if result is not AckResult.DUPLICATE:
            self._remember(session, window)
            self._skip_acknowledged(session, window.acked)
        return window.acked

    def redeliver(self, session: Session, now: float) -> None:
        """Send a session's unacknowledged items again if the oldest of them was sent more than `ack_timeout_s` ago;
        `now` is in monotonic seconds.

        After `max_redeliveries` redeliveries without an ack the client is disconnected instead.
        """
        if session.window is not None and session.window.oldest_wait_s(now) > self._limits.ack_timeout_s:
            self._redeliver(session, session.window)

    async def run_flushes(self) -> None:
        """Store changed cursors every `_FLUSH_INTERVAL_S`, until cancelled."""
        while True:
            await self._clock.sleep(_FLUSH_INTERVAL_S)
            await self.flush()

    async def flush(self) -> None:
        """Store the cursors that changed since the last flush. If the store raises ServerError, log it and keep them
        for the next flush. Callers at the same time share a transaction.
        """
        async with self._saving:
            moved, self._unsaved = self._unsaved, {}
            if not moved:
                return
            try:
                await self._cursors.save(list(moved.values()))
            # Also if the flush is cancelled: the cursors are kept for the next one.
            except BaseException as error:
                self._unsaved = moved | self._unsaved
                if not isinstance(error, ServerError):
                    raise
                _log.warning("cursors_not_saved", cursors=len(moved), reason=error.code.value)

    def _redeliver(self, session: Session, window: AckWindow) -> None:
        if window.attempts >= self._limits.max_redeliveries:
            _log.warning("ack_timeout", connection_id=session.id, user_id=session.user_id, unacked_items=len(window))
            self._stats.recovery.record_exhausted()
            self._live.disconnect(session, DisconnectReason.ACK_TIMEOUT)
            return
        window.rewind()
        self._live.rewind(session, session.channels, window.acked)

    def _skip_acknowledged(self, session: Session, acked: int) -> None:
        """If a session reads the log, skip the items up to seq `acked`: acknowledged items need not be sent again."""
        if session.phase is not Phase.LIVE:
            for channel in session.channels:
                channel.cursor = max(channel.cursor, acked)

    def _remember(self, session: Session, window: AckWindow) -> None:
        device = _device(session)
        self._windows[device] = window
        self._windows.move_to_end(device)
        if len(self._windows) > _MAX_WINDOWS:
            self._windows.popitem(last=False)
        self._unsaved[device] = self._cursor(device, window.acked)

    def _cursor(self, device: Device, acked: int, sent: int | None = None) -> Cursor:
        return Cursor(*device, self._resolver.position(acked), self._clock.wall(), sent)


def _device(session: Session) -> Device:
    return session.user_id, session.device_id or ""
