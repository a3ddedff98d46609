"""Write one batch of items to every connection that matches any of them: the loop over recipients.

Most connections get all of their items of the batch in one write, with a checkpoint if one is due. Connections that
match the same items share one buffer. Two kinds of connections get frames of their own, item by item: those with named
channels, because each message lists the channels that match, and those in ack mode, because each item is added to the
connection's ack window.
"""

from collections.abc import Iterable, Sequence

import structlog
from pyroaring import BitMap

from app.core.delivery.grouping import group_by_items
from app.core.limits import DeliveryLimits
from app.core.protocol import frames, server_messages
from app.flows.delivery.channel import Channel
from app.flows.delivery.in_flight import Batch, FanoutResult, InFlight, Outgoing
from app.flows.delivery.session import Session, is_window_full
from app.flows.delivery.slots import Form, Slots
from app.ports.clock import Clock
from app.ports.transport import SendMany
from app.telemetry.broadcast_stats import SLOW_DELIVERY_S
from app.telemetry.histogram import Example
from app.telemetry.stats import Stats

# At most this many connections are written to in one call of `SendMany`. After each call the clock is read once, and
# all of the call's writes are recorded with that time.
_SENDS_PER_CALL = 128

_log = structlog.get_logger("fanout")


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
        that can take no more items now, those that are due for a checkpoint, and those that were not sent everything
        because of an error. Errors are logged and counted.

        The batch must not be empty.
        """
        this = Batch(batch)
        try:
            self._send(this)
        # Whatever fails, the sessions that were not reached must be known, so that they are not told that they have
        # everything.
        except Exception:  # noqa: BLE001
            self._log_failure(this.items)
            this.interrupt(self._slots)
        self._count_all(this)
        return this.result

    def _send(self, this: Batch) -> None:
        this.nearly_due = self._slots.nearly_due(self._limits.checkpoint_interval_items - len(this.items))
        for group in group_by_items([item.recipients for item in this.items]):
            items = [this.items[position] for position in group.items]
            by_restriction = any(item.record.item.duplicate_of is not None for item in items)
            for form, slots in self._slots.by_form(group.slots, by_restriction=by_restriction):
                self._send_shared(items, form, slots, this)
        for item in this.items:
            self._send_per_channel(item, this)

    def _send_shared(self, items: Sequence[InFlight], form: Form, slots: BitMap, this: Batch) -> None:
        """Write `items`, in one form, to the connections of `slots` that share frames. For the other connections, only
        record which channels match: `_send_per_channel` writes to them later.
        """
        self._collect_channels(items, slots & self._slots.unshared)
        rest = slots - self._slots.unshared
        messages = (item.message_for(is_restricted=form.is_restricted) for item in items)
        item_frames = [message.frame(form.window_bits) for message in messages]
        sizes = [(item, len(frame)) for item, frame in zip(items, item_frames, strict=True)]
        joined = b"".join(item_frames)
        for delivered, due in self._due(rest & this.nearly_due, len(items)):
            with_checkpoint = joined + self._checkpoint(this.last_seq, delivered)
            reached, failed = self._send_to(due, with_checkpoint, items, this)
            self._slots.mark_checkpointed(reached, this.last_seq, delivered)
            this.finish(due, len(reached), failed, sizes, form.window_bits)
            rest = rest - due
        reached, failed = self._send_to(rest, joined, items, this)
        self._slots.record_sent(reached, len(items))
        this.finish(rest, len(reached), failed, sizes, form.window_bits)

    def _due(self, slots: BitMap, items: int) -> list[tuple[int, BitMap]]:
        """Return the slots whose checkpoint is due once they are sent `items` more items.

        The result has a pair for each number of items since the last checkpoint, which includes the new ones: that
        number, and the slots with it.
        """
        counted = ((delivered + items, part) for delivered, part in self._slots.partition_by_delivered(slots))
        return [(delivered, part) for delivered, part in counted if delivered >= self._limits.checkpoint_interval_items]

    def _checkpoint(self, seq: int, delivered: int) -> bytes:
        """Return the frame of a checkpoint at `seq`; `delivered` is the number of items since the last one.

        It is the checkpoint that `LiveDelivery.checkpoint` would send right after the items of the batch.
        """
        return frames.message_frame(server_messages.checkpoint_message(self._clock.wall(), seq, delivered, age_ms=0))

    def _send_to(self, slots: BitMap, joined: bytes, items: Sequence[InFlight], this: Batch) -> tuple[BitMap, int]:
        """Write the same bytes to the connections of these slots. Return the slots whose connections were sent them,
        and the number of those for which an error left this unknown; the other connections are closing.
        """
        this.begun |= slots
        missed, failed, order = BitMap(), 0, slots.to_array()
        for start in range(0, len(order), _SENDS_PER_CALL):
            part = order[start : start + _SENDS_PER_CALL]
            try:
                closing = self._send_many(part, joined, this.result)
                self._record_latency(items, len(part) - len(closing))
            except Exception:  # noqa: BLE001 - the other parts can still be sent
                self._log_failure(items)
                this.result.unknown.extend(self._slots.sessions_of(part))
                failed, closing = failed + len(part), part
            missed.update(closing)
        return slots - missed, failed

    def _send_many(self, slots: Sequence[int], joined: bytes, result: FanoutResult) -> Sequence[int]:
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
        is closing, or is to be closed because an error left it unknown which bytes were written.

        A session that buffers more than `write_high_water_bytes` afterwards is added to `result.full`.
        """
        session = self._slots.sessions[slot]
        # The checks for None are for the type checker: a slot that matched has a session with a link.
        if session is None or session.link is None:
            return False
        try:
            is_written = session.link.write(rest)
            if is_written and session.link.buffered_bytes() > self._limits.write_high_water_bytes:
                result.full.append(session)
        except Exception:  # noqa: BLE001 - the connections after this one can still be written to
            _log.exception("write_failed", connection_id=session.id)
            result.unknown.append(session)
            return False
        return is_written

    def _collect_channels(self, items: Sequence[InFlight], slots: BitMap) -> None:
        """Add each of these slots' channels to every item's `channels_of`, because all of these items match all of
        these slots.
        """
        for slot in slots:
            session, channel = self._slots.sessions[slot], self._slots.channels[slot]
            if session is not None and channel is not None:
                for item in items:
                    item.channels_of.setdefault(session, []).append(channel)

    def _send_per_channel(self, item: InFlight, this: Batch) -> None:
        """Write one item to the connections that need frames of their own: those with named channels or in ack mode."""
        now, written = self._clock.monotonic(), 0
        for session, channels in item.channels_of.items():
            if session in this.stopped:
                this.skip(item, session)
                continue
            is_begun = False
            try:
                frame = _own_frame(item, session, channels)
                is_begun = True
                written += self._write_own(session, frame, item, now, this.result)
                this.written_up_to[session] = item.record.seq
                item.attempted += 1
                for channel in channels:
                    channel.matched += 1
            except Exception:  # noqa: BLE001 - the connections after this one can still be written to
                _log.exception("write_failed", connection_id=session.id, sequence=item.record.seq)
                this.fail(item, session, is_begun=is_begun)
        self._record_latency([item], written)

    def _write_own(self, session: Session, frame: bytes, item: InFlight, now: float, result: FanoutResult) -> bool:
        """Write a connection's own frame of an item. Return False if the connection is closing."""
        link = session.link
        if link is None or not link.write(frame):
            return False
        session.wrote(now, items=1)
        item.count(session.options.deflate_window_bits, len(frame), 1)
        if session.delivered >= self._limits.checkpoint_interval_items:
            result.due.append(session)
        if session.window is not None:
            session.window.add(item.record.seq, item.record.accepted_at, now)
        is_full = is_window_full(session, self._limits.ack_window_items)
        if is_full or link.buffered_bytes() > self._limits.write_high_water_bytes:
            result.full.append(session)
        return True

    def _record_latency(self, items: Iterable[InFlight], sends: int) -> None:
        """Record how many seconds after its acceptance each item was written to `sends` connections. To save time, the
        clock is read once for all of these writes.
        """
        if not sends:
            return
        now = self._clock.wall()
        for item in items:
            item.latencies.append((max(now - item.record.accepted_at, 0.0), sends))

    def _count_all(self, this: Batch) -> None:
        """Add the counts of a batch to the metrics. An error is logged: it must not affect the delivery."""
        try:
            for item in this.items:
                self._count(item)
        except Exception:  # noqa: BLE001
            _log.exception("fanout_not_counted", sequence=this.last_seq)

    def _count(self, item: InFlight) -> None:
        """Add the counts of one item to the metrics.

        If its slowest delivery took longer than `SLOW_DELIVERY_S`, also record an exemplar, which leads from a
        dashboard panel to the item.
        """
        record = item.record
        item.count_frames()
        self._stats.broadcast.record_fanout(item.totals())
        slowest_s = max((seconds for seconds, _ in item.latencies), default=0.0)
        if slowest_s > SLOW_DELIVERY_S:
            labels = {"item_id": record.item.id[:64]} | ({"trace_id": record.trace_id} if record.trace_id else {})
            self._stats.broadcast.record_slow_delivery(Example(labels, slowest_s, self._clock.wall()))

    def _log_failure(self, items: Sequence[InFlight]) -> None:
        """Log the exception that is being handled, with the range of seqs whose delivery it interrupted."""
        first, last = items[0].record.seq, items[-1].record.seq
        _log.exception("fanout_failed", first_sequence=first, last_sequence=last)


def _own_frame(item: InFlight, session: Session, channels: Iterable[Channel]) -> bytes:
    """Return the item's frame for a connection on which these channels match."""
    names = named_channels(session, (channel.name for channel in channels))
    message = item.message_for(names, is_restricted=session.token.entitled.hides_for_good)
    return message.frame(session.options.deflate_window_bits)


def named_channels(session: Session, matched: Iterable[str]) -> tuple[str, ...]:
    """Return the `channels` field of an item's message: the matching channels, sorted; empty if the connection has no
    named channel.
    """
    return tuple(sorted(matched)) if session.channels.has_named else ()
