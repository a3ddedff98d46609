"""From the log to one connection, at its own pace. This file owns reading, room, and the switch to live.

Resume after a disconnect, a slow reader, a redelivery and a channel's past are this one journey: read a page of the
log, offer each item to the connection's filters, wait until the client has taken enough, and at the level of what was
broadcast last let the connection go live, with no await between the check and the switch. So the seam neither loses nor
doubles an item, and a slow client costs a cursor and a bounded buffer.
"""

import asyncio
from collections.abc import Sequence

import structlog

from app.core.delivery.phases import Phase, should_disconnect
from app.core.delivery.positions import GapReason, LogGap
from app.core.errors import ServerError
from app.core.limits import Limits
from app.core.protocol import frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.fanout import encoding_of, named_channels
from app.flows.delivery.replay_filter import ReplayFilter
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.log import NewsLog, Record
from app.telemetry.labels import Redelivery
from app.telemetry.stats import Stats

_SWEEP_EVERY_S = 1.0
_RETRY_S = 0.5
_LEVEL_S = 0.005
# Who sees everything late looks so often for what has become due; the delay is the least, and this what may be added.
_LOOKS_A_DELAY = 20
_LONGEST_LOOK_S = 5.0
# A connection that wants little of what it reads is told where it stands after so many items.
_CHECKPOINT_READ_ITEMS = 1_000

_log = structlog.get_logger("catch_up")


class _LogReader:
    """One reader: what wakes it, the bytes that its client had yet to take at the last look, and those sent since."""

    __slots__ = ("sent", "untaken", "woken")

    def __init__(self, untaken: int) -> None:
        self.woken = asyncio.Event()
        self.untaken = untaken
        self.sent = 0

    def taken(self, untaken: int) -> int:
        """Give how many bytes the client took at least since this was last asked, now that so many are left."""
        taken = self.untaken + self.sent - untaken
        self.untaken, self.sent = untaken, 0
        return taken


class CatchUp:
    """Reads the log for every connection that is not live."""

    def __init__(
        self,
        log: NewsLog,
        connections: ConnectionManager,
        judge: ReplayFilter,
        limits: Limits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._news_log = log
        self._connections = connections
        self._judge = judge
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._pages = asyncio.Semaphore(limits.pages_at_once)
        self._readers: dict[Session, _LogReader] = {}

    async def run(self) -> None:
        """Give every connection that falls behind a reader, for ever."""
        async with asyncio.TaskGroup() as readers:
            while True:
                session = await self._connections.lagging.get()
                readers.create_task(self._run_reader(session), name=f"catch-up-{session.id}")

    async def run_sweeps(self) -> None:
        """Look after the readers, for ever."""
        while True:
            await self._clock.sleep(_SWEEP_EVERY_S)
            self.sweep()

    def sweep(self) -> None:
        """Give up clients that take nothing or lag too far, and wake readers whose news of room got lost."""
        for session in list(self._readers):
            self._look_after(session)
            self.wake(session)

    def wake(self, session: Session) -> None:
        """Let a reader look again whether there is room."""
        if session in self._readers:
            self._readers[session].woken.set()

    def _look_after(self, session: Session) -> None:
        now, untaken = self._clock.monotonic(), _untaken(session)
        if self._readers[session].taken(untaken) > 0 or not untaken:
            session.progress_at = now
        behind_items = self._connections.position - session.cursor
        if should_disconnect(session.phase, behind_items, now - session.progress_at, self._limits):
            self._connections.disconnect_slow(session)

    async def _run_reader(self, session: Session) -> None:
        self._readers[session] = _LogReader(_untaken(session))
        try:
            await self._read(session)
        # The edge between one connection and the others: whatever goes wrong here ends this one.
        except Exception:  # noqa: BLE001
            _log.exception("catch_up_failed", connection_id=session.id)
            self._connections.disconnect(session, DisconnectReason.INTERNAL_ERROR)
        finally:
            self._readers.pop(session, None)
            self._stats.recovery.replay_ended(session.replayed)

    async def _read(self, session: Session) -> None:
        while session.ending is None:
            await self._wait_for_room(session)
            stands_at, position, delay_s = session.cursor, self._connections.position, session.entitled.min_delay_s
            if stands_at == position and not delay_s:
                self._go_live(session)
                return
            if stands_at < position:
                async with self._pages:
                    await self._read_page(session)
            if session.cursor == stands_at and session.ending is None:
                # It has more already than was broadcast, and what is on its way would reach it twice; or nothing that
                # was broadcast is stored any more. Either way the broadcaster has to turn first, or time to pass.
                await self._clock.sleep(min(max(_LEVEL_S, delay_s / _LOOKS_A_DELAY), _LONGEST_LOOK_S))

    def _go_live(self, session: Session) -> None:
        if session.is_v2:
            self._connections.send(session, server_messages.Live(session.cursor, session.replayed))
        if session.ending is None:
            self._connections.go_live(session)

    async def _wait_for_room(self, session: Session) -> None:
        woken = self._readers[session].woken
        while session.ending is None and not self._has_room(session):
            woken.clear()
            await woken.wait()

    def _has_room(self, session: Session) -> bool:
        return not session.is_window_full(self._limits) and _untaken(session) <= self._limits.room_bytes

    async def _read_page(self, session: Session) -> None:
        after = session.cursor
        try:
            records = await self._news_log.read(after, self._limits.page_of_log_items)
        except ServerError as error:
            _log.warning("log_unreadable", connection_id=session.id, reason=error.code.value)
            await self._clock.sleep(_RETRY_S)
            return
        self._say_lag(session, records)
        for number, record in enumerate(records, start=1):
            # While the loop turned the session may have ended, gone back, or gone forward by an ack.
            if session.ending is not None or session.cursor != after or record.seq > self._connections.position:
                return
            if not session.entitled.is_due(record.accepted_at, self._clock.wall()):
                break
            self._announce_gap(session, record)
            if session.ending is None:
                self._offer(session, record)
            after = record.seq
            if not self._has_room(session):
                break
            if number % self._limits.log_items_a_turn == 0:
                await asyncio.sleep(0)
        self._checkpoint(session)

    def _announce_gap(self, session: Session, record: Record) -> None:
        """Say what was dropped from the log before this connection came to read it.

        A client that would not understand has to come back instead: a gap is never passed off as complete.
        """
        missed = LogGap(session.cursor + 1, record.seq - 1, GapReason.EXPIRED)
        if missed.items <= 0:
            return
        self._stats.recovery.gap_items += missed.items
        if session.accepts_gaps:
            self._connections.send(session, server_messages.gap_message(missed))
        else:
            self._connections.disconnect_slow(session)

    def _offer(self, session: Session, record: Record) -> None:
        """Send an item to a connection if one of its channels that have not decided it wants it."""
        names = []
        for channel in session.channels:
            if channel.cursor < record.seq:
                channel.cursor = record.seq
                if self._judge.matches(channel, record, session.entitled):
                    channel.matched += 1
                    names.append(channel.name)
        session.base_cursor = record.seq
        if names:
            self._send(session, record, names)

    def _send(self, session: Session, record: Record, names: list[str]) -> None:
        again = None
        if session.window is not None:
            if session.window.was_sent(record.seq):
                again = Redelivery.TIMEOUT if record.seq <= session.window.rewound_to else Redelivery.RECONNECT
            session.window.add(record.seq, record.accepted_at, self._clock.monotonic())
        frame = frames.text_frame(
            frames.news_item(
                record.seq,
                record.accepted_at,
                record.item_json,
                named_channels(session, names),
                is_replay=True,
                is_again=again is not None,
            ),
            session.window_bits,
        )
        if session.link is None or not session.link.write(frame):
            return
        session.last_written_at = self._clock.monotonic()
        self._readers[session].sent += len(frame)
        session.delivered += 1
        session.replayed += 1
        self._stats.item_replayed(len(record.item_json), len(frame), encoding_of(session.window_bits), again)

    def _checkpoint(self, session: Session) -> None:
        is_due = session.delivered >= self._limits.checkpoint_items
        if is_due or session.cursor - session.checkpoint_seq >= _CHECKPOINT_READ_ITEMS:
            self._connections.checkpoint([session])

    def _say_lag(self, session: Session, records: Sequence[Record]) -> None:
        """Say how far behind a slow client is, once, when it begins to take items again."""
        if session.is_lag_told or session.phase is not Phase.LAGGING or not records:
            return
        session.is_lag_told = True
        if session.is_v2:
            behind_ms = int(max(self._clock.wall() - records[0].accepted_at, 0.0) * 1000)
            self._connections.send(session, server_messages.Lag(self._connections.position - session.cursor, behind_ms))


def _untaken(session: Session) -> int:
    """Give the bytes that a client has yet to take."""
    return session.link.buffered_bytes() if session.link is not None else 0
