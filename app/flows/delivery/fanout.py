"""Write one batch of items to every connection that matches any of them: the loop over recipients.

Most connections get all of their items of the batch in one write, with a checkpoint if one is due. Connections that
match the same items share one buffer. Two kinds of connections get frames of their own, item by item: those with named
channels, because each message lists the channels that match, and those in ack mode, because each item is added to the
connection's ack window.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from app.core.delivery.grouping import group_by_items
from app.core.limits import DeliveryLimits
from app.core.protocol import frames, server_messages
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.session import Session, is_window_full
from app.flows.delivery.slots import Slots
from app.ports.clock import Clock
from app.ports.log import Record
from app.ports.transport import SendMany
from app.telemetry.broadcast_stats import SLOW_DELIVERY_S, FanoutCounts
from app.telemetry.histogram import Example
from app.telemetry.labels import Encoding
from app.telemetry.stats import Stats

# At most this many connections are written to in one call of `SendMany`. After each call the clock is read once, and
# all of the call's writes are recorded with that time.
_SENDS_PER_CALL = 128


class Outgoing(NamedTuple):
    """An item to send: its record, its encoded message, and the slots that match it."""

    record: Record
    message: frames.EncodedMessage
    recipients: BitMap


class FanoutResult(NamedTuple):
    """The sessions that the caller must act on after a batch; a session may occur more than once.

    Those in `full` have too many buffered bytes or a full ack window. Those in `due` must be sent a checkpoint.
    """

    full: list[Session]
    due: list[Session]


class _Batch(NamedTuple):
    """A batch while it is sent: its result so far, the seq of its last item, and the slots whose checkpoint may become
    due with its items.
    """

    result: FanoutResult
    last_seq: int
    nearly_due: BitMap


class _InFlight:
    """One item of a batch while it is sent, and counts of its sends.

    `attempted` counts the connections to write to, including those that turn out to be closing. `channels_of` has the
    names of the matching channels for each connection that needs frames of its own. Each pair in `latencies` is the
    seconds from acceptance to sending, and the number of sends that took this long.
    """

    __slots__ = ("attempted", "channels_of", "frames", "latencies", "message", "record", "sends", "wire_bytes")

    def __init__(self, outgoing: Outgoing) -> None:
        self.record, self.message = outgoing.record, outgoing.message
        self.attempted = 0
        self.channels_of: dict[Session, list[str]] = {}
        self.sends: Counter[Encoding] = Counter()
        self.wire_bytes: Counter[Encoding] = Counter()
        self.frames: Counter[Encoding] = Counter()
        self.latencies: list[tuple[float, int]] = []

    def count(self, window_bits: int, frame_bytes: int, sends: int) -> None:
        """Count that one frame of the item, with `frame_bytes` bytes, was written `sends` times."""
        encoding = encoding_of(window_bits)
        self.sends[encoding] += sends
        self.wire_bytes[encoding] += frame_bytes * sends

    def count_frames(self, message: frames.EncodedMessage) -> None:
        """Count the frames that were encoded for a message: one for each deflate window in use."""
        self.frames.update(map(encoding_of, message.frames))


class Fanout:
    """Writes items to the connections whose slots matched. No method waits for a client."""

    def __init__(self, slots: Slots, send_many: SendMany, limits: DeliveryLimits, clock: Clock, stats: Stats) -> None:
        self._slots = slots
        self._transport = send_many
        self._limits = limits
        self._clock = clock
        self._stats = stats

    def send(self, batch: Sequence[Outgoing]) -> FanoutResult:
        """Write the items of a batch, in their order, to every connection with a matching slot. Return the sessions
        that can take no more items now, and those that are due for a checkpoint.

        The batch must not be empty.
        """
        result, in_flight = FanoutResult([], []), list(map(_InFlight, batch))
        nearly_due = self._slots.nearly_due(self._limits.checkpoint_interval_items - len(batch))
        this = _Batch(result, batch[-1].record.seq, nearly_due)
        for group in group_by_items([outgoing.recipients for outgoing in batch]):
            items = [in_flight[position] for position in group.items]
            for window_bits, slots in self._slots.by_deflate_window(group.slots):
                self._send_shared(items, window_bits, slots, this)
        for item in in_flight:
            self._send_per_channel(item, result)
        for outgoing, item in zip(batch, in_flight, strict=True):
            self._count(item, len(outgoing.recipients))
        return result

    def _send_shared(self, items: Sequence[_InFlight], window_bits: int, slots: BitMap, this: _Batch) -> None:
        """Write `items` to the connections of `slots` that share frames. For the other connections, only record which
        channels match: `_send_per_channel` writes to them later.
        """
        self._collect_channels(items, slots & self._slots.unshared)
        shared = slots - self._slots.unshared
        item_frames = [item.message.frame(window_bits) for item in items]
        joined, rest, written = b"".join(item_frames), shared, 0
        for delivered, due in self._due(shared & this.nearly_due, len(items)):
            reached = self._send_to(due, joined + self._checkpoint(this.last_seq, delivered), items, this.result)
            self._slots.mark_checkpointed(reached, this.last_seq, delivered)
            rest, written = rest - due, written + len(reached)
        reached = self._send_to(rest, joined, items, this.result)
        self._slots.record_sent(reached, len(items))
        for item, frame in zip(items, item_frames, strict=True):
            item.attempted += len(shared)
            item.count(window_bits, len(frame), written + len(reached))

    def _due(self, slots: BitMap, items: int) -> list[tuple[int, BitMap]]:
        """Return the slots whose checkpoint is due once they are sent `items` more items.

        The result has a pair for each number of items since the last checkpoint, which includes the new ones: that
        number, and the slots with it.
        """
        counted = ((delivered + items, part) for delivered, part in self._slots.partition_by_delivered(slots))
        return [(delivered, part) for delivered, part in counted if delivered >= self._limits.checkpoint_interval_items]

    def _checkpoint(self, seq: int, delivered: int) -> bytes:
        """Return the frame of a checkpoint at `seq`; `delivered` is the number of items since the last one.

        It is the checkpoint that `LiveSet.checkpoint` would send right after the items of the batch.
        """
        return frames.message_frame(server_messages.checkpoint_message(self._clock.wall(), seq, delivered, age_ms=0))

    def _send_to(self, slots: BitMap, joined: bytes, items: Sequence[_InFlight], result: FanoutResult) -> BitMap:
        """Write the same bytes to the connections of these slots; return the slots whose connections
        are not closing.
        """
        closing, order = BitMap(), slots.to_array()
        for start in range(0, len(order), _SENDS_PER_CALL):
            part = order[start : start + _SENDS_PER_CALL]
            missed = self._send_many(part, joined, result)
            closing.update(missed)
            self._record_latency(items, len(part) - len(missed))
        return slots - closing

    def _send_many(self, slots: Sequence[int], joined: bytes, result: FanoutResult) -> list[int]:
        """Write the same bytes to the sockets of these slots in one call, and return the slots whose connections are
        closing.

        Bytes that a socket does not take are written through the connection's link.
        """
        handles = self._slots.handles
        taken = self._transport([handles[slot] for slot in slots], joined)
        if taken.count(len(joined)) == len(slots):
            return []
        rests = ((slot, joined[size:]) for slot, size in zip(slots, taken, strict=True) if size < len(joined))
        return [slot for slot, rest in rests if not self._write_rest(slot, rest, result)]

    def _write_rest(self, slot: int, rest: bytes, result: FanoutResult) -> bool:
        """Write, through the connection's link, the bytes that `SendMany` did not take. Return False if the connection
        is closing.

        A session that buffers more than `write_high_water_bytes` afterwards is added to `result.full`.
        """
        session = self._slots.sessions[slot]
        # The checks for None are for the type checker: a slot that matched has a session with a link.
        if session is None or session.link is None or not session.link.write(rest):
            return False
        if session.link.buffered_bytes() > self._limits.write_high_water_bytes:
            result.full.append(session)
        return True

    def _collect_channels(self, items: Sequence[_InFlight], slots: BitMap) -> None:
        """Add the name of each of these slots' channels to every item's `channels_of`, because all of these items match
        all of these slots. Count the items as matches of each channel.
        """
        for slot in slots:
            session, channel = self._slots.sessions[slot], self._slots.channels[slot]
            if session is not None and channel is not None:
                channel.matched += len(items)
                for item in items:
                    item.channels_of.setdefault(session, []).append(channel.name)

    def _send_per_channel(self, item: _InFlight, result: FanoutResult) -> None:
        """Write one item to the connections that need frames of their own: those with named channels or in ack mode."""
        record, now = item.record, self._clock.monotonic()
        written = 0
        for session, frame in _frames(item):
            item.attempted += 1
            link = session.link
            if link is None or not link.write(frame):
                continue
            written += 1
            session.wrote(now, items=1)
            item.count(session.options.deflate_window_bits, len(frame), 1)
            if session.delivered >= self._limits.checkpoint_interval_items:
                result.due.append(session)
            if session.window is not None:
                session.window.add(record.seq, record.accepted_at, now)
            is_full = is_window_full(session, self._limits.ack_window_items)
            if is_full or link.buffered_bytes() > self._limits.write_high_water_bytes:
                result.full.append(session)
        self._record_latency([item], written)

    def _record_latency(self, items: Iterable[_InFlight], sends: int) -> None:
        """Record how many seconds after its acceptance each item was written to `sends` connections. To save time, the
        clock is read once for all of these writes.
        """
        if not sends:
            return
        now = self._clock.wall()
        for item in items:
            item.latencies.append((max(now - item.record.accepted_at, 0.0), sends))

    def _count(self, item: _InFlight, recipients: int) -> None:
        """Add the counts of one item to the metrics; `recipients` is the number of slots that match it.

        If its slowest delivery took longer than `SLOW_DELIVERY_S`, also record an exemplar, which leads from a
        dashboard panel to the item.
        """
        record, closed = item.record, item.attempted - item.sends.total()
        item.count_frames(item.message)
        self._stats.broadcast.record_fanout(
            FanoutCounts(
                closed,
                recipients - item.attempted,
                len(record.item_json),
                item.sends,
                item.wire_bytes,
                item.frames,
                item.latencies,
            )
        )
        slowest_s = max((seconds for seconds, _ in item.latencies), default=0.0)
        if slowest_s > SLOW_DELIVERY_S:
            labels = {"item_id": record.item.id[:64]} | ({"trace_id": record.trace_id} if record.trace_id else {})
            self._stats.broadcast.record_slow_delivery(Example(labels, slowest_s, self._clock.wall()))


def _frames(item: _InFlight) -> Iterator[tuple[Session, bytes]]:
    """Yield each connection that is written to separately, with its frame of the item. At the end, count the frames
    that were encoded only for these connections.

    Connections with the same matching channels and the same deflate window share one frame.
    """
    messages: dict[tuple[str, ...], frames.EncodedMessage] = {(): item.message}
    record = item.record
    for session, matched in item.channels_of.items():
        names = named_channels(session, matched)
        if names not in messages:
            payload = frames.news_item(record.seq, record.accepted_at, record.item_json, names)
            messages[names] = frames.EncodedMessage(payload)
        yield session, messages[names].frame(session.options.deflate_window_bits)
    for names, message in messages.items():
        if names:
            item.count_frames(message)


def encoding_of(window_bits: int) -> Encoding:
    """Return the metric label of a deflate window: IDENTITY for UNCOMPRESSED, otherwise DEFLATE."""
    return Encoding.IDENTITY if window_bits == UNCOMPRESSED else Encoding.DEFLATE


def named_channels(session: Session, matched: Iterable[str]) -> tuple[str, ...]:
    """Return the `channels` field of an item's message: the matching channels, sorted; empty if the connection has no
    named channel.
    """
    return tuple(sorted(matched)) if session.channels.has_named else ()
