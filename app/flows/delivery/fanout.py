"""Items to everybody who wants them. This file owns the loop over recipients, and what goes to whom.

Nearly everybody gets the same bytes: of the items that wait, each connection gets those that it wants in one write, and
connections that want the same share one buffer. Who has had so many that he is to be told where he stands is told in
the same write. A connection with named channels is told which of them wanted an item, once for all of its channels; one
that acknowledges has the item in its window from here on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from app.core.delivery.grouping import group_by_items
from app.core.limits import Limits
from app.core.protocol import frames, server_messages
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.session import Session
from app.flows.delivery.slots import Slots
from app.ports.clock import Clock
from app.ports.log import Record
from app.ports.transport import SendMany
from app.telemetry.histogram import Example
from app.telemetry.labels import Encoding
from app.telemetry.stats import SLOW_DELIVERY_S, FanoutCounts, Stats

# How many sends are one volley, and share one reading of the clock.
_SENDS_PER_CALL = 128


class Outgoing(NamedTuple):
    """An item that is decided: its message, and the slots that want it."""

    record: Record
    message: frames.EncodedMessage
    recipients: BitMap


class FanoutResult(NamedTuple):
    """Who has to be looked after once items are out: whose buffer or window is full, and who is due a checkpoint."""

    full: list[Session]
    due: list[Session]


class _Batch(NamedTuple):
    """A batch on its way out: what comes of it, its last seq, and the slots that it may make due a checkpoint."""

    outcome: FanoutResult
    upto: int
    nearly_due: BitMap


class _InFlight:
    """One item on its way out, and what became of its sends so far.

    `named` are the connections that are told which of their channels wanted it.
    """

    __slots__ = ("attempted", "channels_of", "frames", "latencies", "message", "record", "sends", "wire_bytes")

    def __init__(self, one: Outgoing) -> None:
        self.record, self.message = one.record, one.message
        self.attempted = 0
        self.channels_of: dict[Session, list[str]] = {}
        self.sends: Counter[Encoding] = Counter()
        self.wire_bytes: Counter[Encoding] = Counter()
        self.frames: Counter[Encoding] = Counter()
        self.latencies: list[tuple[float, int]] = []

    def count(self, window_bits: int, frame_bytes: int, sends: int) -> None:
        """Count sends of one of its frames."""
        encoding = encoding_of(window_bits)
        self.sends[encoding] += sends
        self.wire_bytes[encoding] += frame_bytes * sends

    def count_frames(self, message: frames.EncodedMessage) -> None:
        """Count what was encoded."""
        self.frames.update(map(encoding_of, message.frames))


class Fanout:
    """Writes items to the connections whose slots matched. Nothing here waits for a client."""

    def __init__(self, slots: Slots, volley: SendMany, limits: Limits, clock: Clock, stats: Stats) -> None:
        self._slots = slots
        self._volley = volley
        self._limits = limits
        self._clock = clock
        self._stats = stats

    def send(self, batch: Sequence[Outgoing]) -> FanoutResult:
        """Write items, in order, to every slot that matched them."""
        outcome, going = FanoutResult([], []), list(map(_InFlight, batch))
        nearly_due = self._slots.nearly_due(self._limits.checkpoint_items - len(batch))
        this = _Batch(outcome, batch[-1].record.seq, nearly_due)
        for alike in group_by_items([one.recipients for one in batch]):
            items = [going[place] for place in alike.items]
            for window_bits, slots in self._slots.by_deflate_window(alike.slots):
                self._send_shared(items, window_bits, slots, this)
        for item in going:
            self._send_per_channel(item, outcome)
        for one, item in zip(batch, going, strict=True):
            self._count(item, len(one.recipients))
        return outcome

    def _send_shared(self, items: Sequence[_InFlight], window_bits: int, slots: BitMap, this: _Batch) -> None:
        """Write the same items to all who want them; put those with names aside."""
        self._collect_channels(items, slots & self._slots.unshared)
        plain = slots - self._slots.unshared
        frames = [one.message.frame(window_bits) for one in items]
        joined, rest, written = b"".join(frames), plain, 0
        for delivered, due in self._due(plain & this.nearly_due, len(items)):
            reached = self._send_to(due, joined + self._checkpoint(this.upto, delivered), items, this.outcome)
            self._slots.mark_checkpointed(reached, this.upto, delivered)
            rest, written = rest - due, written + len(reached)
        reached = self._send_to(rest, joined, items, this.outcome)
        self._slots.record_sent(reached, len(items))
        for one, frame in zip(items, frames, strict=True):
            one.attempted += len(plain)
            one.count(window_bits, len(frame), written + len(reached))

    def _due(self, slots: BitMap, items: int) -> list[tuple[int, BitMap]]:
        """Part who is to be told where he stands, once he has these items too, by how many he will have had."""
        parted = ((had + items, part) for had, part in self._slots.partition_by_delivered(slots))
        return [(delivered, part) for delivered, part in parted if delivered >= self._limits.checkpoint_items]

    def _checkpoint(self, upto: int, delivered: int) -> bytes:
        """Say up to where its readers hold everything, as `ConnectionManager.checkpoint` says it to one alone."""
        return frames.message_frame(server_messages.checkpoint_message(self._clock.wall(), upto, delivered, age_ms=0))

    def _send_to(self, slots: BitMap, joined: bytes, items: Sequence[_InFlight], outcome: FanoutResult) -> BitMap:
        """Write the same bytes to some connections, volley by volley; give those that were not closing."""
        closed, order = BitMap(), slots.to_array()
        for start in range(0, len(order), _SENDS_PER_CALL):
            fired = order[start : start + _SENDS_PER_CALL]
            missed = self._send_many(fired, joined, outcome)
            closed.update(missed)
            self._record_latency(items, len(fired) - len(missed))
        return slots - closed

    def _send_many(self, slots: Sequence[int], joined: bytes, outcome: FanoutResult) -> list[int]:
        """Write the same bytes to some connections; give the slots of those that are closing."""
        handles = self._slots.handles
        taken = self._volley([handles[slot] for slot in slots], joined)
        if taken.count(len(joined)) == len(slots):
            return []
        rests = ((slot, joined[size:]) for slot, size in zip(slots, taken, strict=True) if size < len(joined))
        return [slot for slot, rest in rests if not self._write_rest(slot, rest, outcome)]

    def _write_rest(self, slot: int, rest: bytes, outcome: FanoutResult) -> bool:
        """Write by the link what a volley could not; False when the connection is closing."""
        session = self._slots.sessions[slot]
        # A slot that is found has a session, and that a link.
        if session is None or session.link is None or not session.link.write(rest):
            return False
        if session.link.buffered_bytes() > self._limits.write_buffer_bytes:
            outcome.full.append(session)
        return True

    def _collect_channels(self, items: Sequence[_InFlight], slots: BitMap) -> None:
        """Note which channels of connections with names want the items."""
        for slot in slots:
            session, channel = self._slots.sessions[slot], self._slots.channels[slot]
            if session is not None and channel is not None:
                channel.matched += len(items)
                for one in items:
                    one.channels_of.setdefault(session, []).append(channel.name)

    def _send_per_channel(self, one: _InFlight, outcome: FanoutResult) -> None:
        """Write one item to connections that have named channels, or acknowledge."""
        record, now = one.record, self._clock.monotonic()
        written = 0
        for session, frame in _frames(one):
            one.attempted += 1
            link = session.link
            if link is None or not link.write(frame):
                continue
            written += 1
            session.last_written_at = now
            session.delivered += 1
            one.count(session.window_bits, len(frame), 1)
            if session.delivered >= self._limits.checkpoint_items:
                outcome.due.append(session)
            if session.window is not None:
                session.window.add(record.seq, record.accepted_at, now)
            if link.buffered_bytes() > self._limits.write_buffer_bytes or session.is_window_full(self._limits):
                outcome.full.append(session)
        self._record_latency([one], written)

    def _record_latency(self, items: Iterable[_InFlight], sends: int) -> None:
        """Read the clock for so many sends of each item."""
        if not sends:
            return
        now = self._clock.wall()
        for one in items:
            one.latencies.append((max(now - one.record.accepted_at, 0.0), sends))

    def _count(self, one: _InFlight, recipients: int) -> None:
        """Count one item, and leave a slow delivery behind as an exemplar, so that a panel leads to the item."""
        record, closed = one.record, one.attempted - one.sends.total()
        one.count_frames(one.message)
        self._stats.item_sent(
            FanoutCounts(
                closed,
                recipients - one.attempted,
                len(record.item_json),
                one.sends,
                one.wire_bytes,
                one.frames,
                one.latencies,
            )
        )
        slowest_s = max((seconds for seconds, _ in one.latencies), default=0.0)
        if slowest_s > SLOW_DELIVERY_S:
            labels = {"item_id": record.item.id[:64]} | ({"trace_id": record.trace_id} if record.trace_id else {})
            self._stats.delivery_was_slow(Example(labels, slowest_s, self._clock.wall()))


def _frames(one: _InFlight) -> Iterator[tuple[Session, bytes]]:
    """Give each connection with what it gets; those with the same channels share their bytes too."""
    messages: dict[tuple[str, ...], frames.EncodedMessage] = {(): one.message}
    record = one.record
    for session, matched in one.channels_of.items():
        names = named_channels(session, matched)
        if names not in messages:
            messages[names] = frames.EncodedMessage(
                frames.news_item(record.seq, record.accepted_at, record.item_json, names)
            )
        yield session, messages[names].frame(session.window_bits)
    for names, message in messages.items():
        if names:
            one.count_frames(message)


def encoding_of(window_bits: int) -> Encoding:
    """Name a way of encoding for the metrics."""
    return Encoding.IDENTITY if window_bits == UNCOMPRESSED else Encoding.DEFLATE


def named_channels(session: Session, matched: Iterable[str]) -> tuple[str, ...]:
    """Give what an item's `channels` say: nothing where the connection has no named channel."""
    return tuple(sorted(matched)) if session.has_named_channels else ()
