"""Read the log for each connection that is not live, at the pace of its client, until it has caught up and goes live.

The same loop serves a resume after a disconnect, a slow client, a redelivery, and a channel's past items. It reads a
page of the log, evaluates the connection's filters for each item, and waits while too many bytes are buffered or too
many items are unacknowledged. So a slow client costs the server only a cursor and a bounded buffer.

Once every broadcast item has been read, the connection goes live. There is no await between this check and the switch
to live, so no item is lost or repeated.
"""

import asyncio
from collections.abc import Sequence

import structlog

from app.core.delivery.phases import Phase
from app.core.delivery.positions import GapReason, LogGap, missing
from app.core.errors import ServerError
from app.core.limits import ReplayLimits
from app.core.protocol import frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.channel import Channel
from app.flows.delivery.fanout import named_channels
from app.flows.delivery.in_flight import encoding_of
from app.flows.delivery.live_delivery import LiveDelivery
from app.flows.delivery.log_reader import LogReader
from app.flows.delivery.replay_filter import ReplayFilter
from app.flows.delivery.session import Session, buffered_bytes, resumes, undecided
from app.flows.time_slices import TimeSlices
from app.flows.visibility import as_shown
from app.ports.clock import Clock
from app.ports.log import NewsLog, Record
from app.telemetry.labels import Redelivery
from app.telemetry.stats import Stats

_SWEEP_INTERVAL_S = 1.0
_RETRY_S = 0.5
_CAUGHT_UP_POLL_S = 0.005
# A connection whose token delays items looks for due items this many times per delay, but waits at least
# `_CAUGHT_UP_POLL_S` and at most `_MAX_POLL_S` in between.
_POLLS_PER_DELAY = 20
_MAX_POLL_S = 5.0

_log = structlog.get_logger("catch_up")


class CatchUp:
    """Reads the log for every connection that is not live."""

    def __init__(
        self,
        log: NewsLog,
        delivery: LiveDelivery,
        replay_filter: ReplayFilter,
        slices: TimeSlices,
        limits: ReplayLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._news_log = log
        self._delivery = delivery
        self._live = delivery.live
        self._slices = slices
        self._replay_filter = replay_filter
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._pages = asyncio.Semaphore(limits.max_concurrent_pages)
        self._readers: dict[Session, LogReader] = {}

    async def run(self) -> None:
        """Start a reader task for every session that arrives in `LiveSet.lagging`, until cancelled."""
        async with asyncio.TaskGroup() as readers:
            while True:
                session = await self._live.lagging.get()
                readers.create_task(self._run_reader(session), name=f"catch-up-{session.id}")

    async def run_sweeps(self) -> None:
        """Call `sweep` once a second, until cancelled."""
        while True:
            await self._clock.sleep(_SWEEP_INTERVAL_S)
            self.sweep()

    def sweep(self) -> None:
        """Disconnect clients that took no byte for too long or lag too far behind, and wake every reader task in case
        it missed a wake-up.
        """
        for session, reader in list(self._readers.items()):
            now, untaken = self._clock.monotonic(), buffered_bytes(session)
            if reader.bytes_taken(untaken) > 0 or not untaken:
                reader.progress_at = now
            self._live.disconnect_if_stalled(session, now - reader.progress_at)
            reader.woken.set()

    def wake(self, session: Session) -> None:
        """Make the reader task of a session check again whether it can send more or must end. Does nothing if there is
        no such task.
        """
        reader = self._readers.get(session)
        if reader is not None:
            reader.woken.set()

    def on_room(self, session: Session) -> None:
        """Record that a client took most of its buffered bytes, and wake the session's reader task if it has one."""
        reader = self._readers.get(session)
        if reader is not None:
            reader.progress_at = self._clock.monotonic()
            reader.woken.set()

    async def _run_reader(self, session: Session) -> None:
        try:
            reader = self._readers[session] = LogReader(buffered_bytes(session), self._clock.monotonic())
            await self._read(session, reader)
            self._stats.recovery.record_replay_end(reader.replayed)
        # Any error here ends this connection only; the readers of other connections continue.
        except Exception:  # noqa: BLE001
            _log.exception("catch_up_failed", connection_id=session.id)
            self._live.abandon(session)
        finally:
            self._readers.pop(session, None)

    async def _read(self, session: Session, reader: LogReader) -> None:
        while session.disconnect_reason is None:
            await self._wait_for_room(session, reader)
            cursor, position = session.cursor, self._live.position
            delay_s = session.token.entitled.min_delay_s
            if cursor == position and not delay_s:
                self._go_live(session, reader)
                return
            if cursor < position:
                async with self._pages:
                    await self._read_page(session, reader)
            if session.cursor == cursor and session.disconnect_reason is None:
                # Nothing was read, so wait before trying again. Usually the items after the cursor are not broadcast
                # yet, are not due yet, were pruned, or could not be read. But the cursor may also be above the live
                # position. If the connection went live then, the items between the two would be sent again when they
                # are broadcast.
                await self._clock.sleep(min(max(_CAUGHT_UP_POLL_S, delay_s / _POLLS_PER_DELAY), _MAX_POLL_S))

    def _go_live(self, session: Session, reader: LogReader) -> None:
        if session.options.is_v2:
            self._live.send(session, server_messages.Live(session.cursor, reader.replayed))
        if session.disconnect_reason is None:
            self._live.go_live(session)

    async def _wait_for_room(self, session: Session, reader: LogReader) -> None:
        while session.disconnect_reason is None and not self._live.has_room(session):
            reader.woken.clear()
            await reader.woken.wait()

    async def _read_page(self, session: Session, reader: LogReader) -> None:
        after, position = session.cursor, self._live.position
        try:
            records = await self._news_log.read(after, self._limits.page_items)
        except ServerError as error:
            _log.warning("log_unreadable", connection_id=session.id, reason=error.code.value)
            await self._clock.sleep(_RETRY_S)
            return
        if not records and session.cursor == after:
            # The newest item is never deleted, so there are stored items, but none that can be read.
            self._announce_missing(session, position)
        async with self._slices.share() as time_slice:
            self._announce_lag(session, reader, records)
            for record in records:
                # While other tasks ran, the session may have ended, been rewound, or moved forward by an ack.
                is_moved = session.disconnect_reason is not None or session.cursor != after
                if is_moved or record.seq > self._live.position:
                    return
                if not session.token.entitled.is_due(record.accepted_at, self._clock.wall()):
                    break
                self._announce_missing(session, record.seq - 1)
                if session.disconnect_reason is None and not self._offer(session, reader, record):
                    break
                after = record.seq
                if not self._live.has_room(session):
                    break
                await time_slice.renew_if_over()
            self._delivery.checkpoint_if_due(session)

    def _announce_missing(self, session: Session, up_to: int) -> None:
        """Announce that a read of the log did not return the items after a session's cursor and up to `up_to`, if there
        are such items, and move the cursor past them.
        """
        for gap in missing(session.cursor, up_to, self._news_log.oldest):
            self._announce_gap(session, gap)
            session.advance(gap.to_seq)

    def _announce_gap(self, session: Session, gap: LogGap) -> None:
        """Send a `gap` message, if the client speaks v2 or resumes. Any other client does not know this message and is
        disconnected, because it would mistake an incomplete stream for a complete one.
        """
        self._stats.recovery.record_gap(gap.items)
        if session.options.is_v2 or resumes(session):
            self._live.send(session, server_messages.gap_message(gap))
        elif gap.reason is GapReason.EXPIRED:
            self._live.disconnect_slow(session)
        else:
            self._live.disconnect(session, DisconnectReason.INTERNAL_ERROR)

    def _offer(self, session: Session, reader: LogReader, record: Record) -> bool:
        """Evaluate an item for the channels that have not evaluated it yet, and send it if one of them matches. Then
        move the session's cursor to the item.

        Return False if the evaluation failed for the first time: the caller must read the item again. After the second
        failure the item is announced as a gap.
        """
        try:
            matched = self._matching_channels(session, record)
            frame = self._encode(session, record, matched) if matched else b""
        except Exception:  # noqa: BLE001 - one item that fails must not end the replay
            if reader.failed_seq != record.seq:
                reader.failed_seq = record.seq
                return False
            _log.exception("item_unreadable", item_id=record.item.id, sequence=record.seq, connection_id=session.id)
            self._stats.recovery.record_replay_error()
            self._announce_gap(session, LogGap(record.seq, record.seq, GapReason.UNREADABLE))
            matched, frame = [], b""
        session.advance(record.seq)
        if matched:
            self._send(session, reader, record, frame)
        for channel in matched:
            channel.matched += 1
        return True

    def _matching_channels(self, session: Session, record: Record) -> list[Channel]:
        entitled = session.token.entitled
        channels = undecided(session, record.seq)
        return [channel for channel in channels if self._replay_filter.matches(channel, record, entitled)]

    def _encode(self, session: Session, record: Record, matched: Sequence[Channel]) -> bytes:
        """Return the frame of an item that is read from the log for one connection."""
        payload = frames.news_item(
            record.seq,
            record.accepted_at,
            as_shown(record, session.token.entitled).item_json,
            named_channels(session, [channel.name for channel in matched]),
            is_replay=True,
            is_redelivery=session.window is not None and session.window.was_sent(record.seq),
        )
        return frames.text_frame(payload, session.options.deflate_window_bits)

    def _send(self, session: Session, reader: LogReader, record: Record, frame: bytes) -> None:
        redelivery = None
        if session.window is not None:
            redelivery = _redelivery(session.window.was_sent(record.seq), record.seq <= session.window.rewound_to)
            session.window.add(record.seq, record.accepted_at, self._clock.monotonic())
        if session.link is None or not session.link.write(frame):
            return
        session.wrote(self._clock.monotonic(), items=1)
        reader.sent += len(frame)
        reader.replayed += 1
        self._stats.recovery.record_replayed(redelivery)
        encoding = encoding_of(session.options.deflate_window_bits)
        self._stats.broadcast.record_single_send(len(record.item_json), len(frame), encoding)

    def _announce_lag(self, session: Session, reader: LogReader, records: Sequence[Record]) -> None:
        """Tell a lagging v2 client once, in a `lag` message, how many items and milliseconds it is behind.

        The message is sent just before the first items from the log, because only then does the client take bytes
        again.
        """
        if reader.is_lag_announced or session.phase is not Phase.LAGGING or not records:
            return
        reader.is_lag_announced = True
        if session.options.is_v2:
            behind_ms = int(max(self._clock.wall() - records[0].accepted_at, 0.0) * 1000)
            self._live.send(session, server_messages.Lag(self._live.position - session.cursor, behind_ms))


def _redelivery(was_sent: bool, was_rewound: bool) -> Redelivery | None:
    """Return why an item is sent to a client again: TIMEOUT after a missing ack on this connection, otherwise
    RECONNECT.

    Return None if the item was not sent before.
    """
    if not was_sent:
        return None
    return Redelivery.TIMEOUT if was_rewound else Redelivery.RECONNECT
