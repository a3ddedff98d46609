"""Which slot of the filter index belongs to which channel of which connection.

A channel keeps its slot as long as it is used; the slot is in the index only while its connection is live. What most
connections are sent is counted here in bitmaps, for all of them at once: an item touches no session.
"""

from collections.abc import Iterator

from pyroaring import BitMap

from app.core.delivery.slot_counters import SlotCounters
from app.core.filters.filter_index import FilterIndex
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.session import Channel, Session
from app.ports.transport import SendHandle


class Slots:
    """The slots, and the filter index over the live ones."""

    def __init__(self) -> None:
        self.index = FilterIndex()
        # By slot; read for every recipient of every item. The handle is None where `SendMany` must not write: bytes
        # wait in the link, or the connection is over.
        self.handles: list[SendHandle | None] = []
        self.sessions: list[Session | None] = []
        self.channels: list[Channel | None] = []
        self._free: list[int] = []
        # The slots of connections that need frames of their own: they have named channels, or acknowledge.
        self.unshared = BitMap()
        # For the other live slots: items written since the last checkpoint, and the slots that anything was written to.
        self._delivered = SlotCounters()
        self._written = BitMap()
        # The slots of connections with compressed payloads, by their deflate window.
        self._deflated: dict[int, BitMap] = {}

    def allocate(self, session: Session, channel: Channel) -> None:
        """Allocate a slot for a channel; the slot is not in the index yet."""
        if self._free:
            channel.slot = self._free.pop()
            self.sessions[channel.slot] = session
            self.channels[channel.slot] = channel
        else:
            channel.slot = len(self.sessions)
            self.sessions.append(session)
            self.channels.append(channel)
            self.handles.append(None)
        self.use_send_many(session)
        if not session.uses_shared_frames:
            self.unshared.update(_slots_of(session))
        window_bits = session.options.deflate_window_bits
        if window_bits != UNCOMPRESSED:
            self._deflated.setdefault(window_bits, BitMap()).add(channel.slot)

    def free(self, channel: Channel) -> None:
        """Take a channel's slot back."""
        self.handles[channel.slot] = None
        self._flush_count(channel.slot)
        self.index.remove(channel.slot)
        for slots in self._deflated.values():
            slots.discard(channel.slot)
        self.unshared.discard(channel.slot)
        self._written.discard(channel.slot)
        self.sessions[channel.slot] = self.channels[channel.slot] = None
        self._free.append(channel.slot)
        channel.slot = -1

    def put(self, channel: Channel) -> None:
        """Put a channel's filter into the index, so that items find it."""
        session = self.sessions[channel.slot]
        if channel.filter is None or session is None:
            self.index.put_broken(channel.slot)
        else:
            self.index.put(channel.slot, channel.filter, session.token.entitled)

    def activate(self, session: Session) -> None:
        """Put a connection's filters into the index."""
        if session.link is not None:
            session.link.set_write_limit(0)
        self.use_send_many(session)
        for channel in session.channels:
            self.put(channel)
            if session.uses_shared_frames:
                self._delivered.add(BitMap([channel.slot]), session.delivered)
                session.add_delivered(-session.delivered)

    def deactivate(self, session: Session) -> None:
        """Remove a connection's filters from the index."""
        self.flush_counts(session)
        for channel in session.channels:
            self.index.remove(channel.slot)

    def use_send_many(self, session: Session) -> None:
        """Let `SendMany` write to a connection, unless bytes wait in its link."""
        handle = None if session.link is None else session.link.send_handle
        for slot in _slots_of(session):
            self.handles[slot] = handle

    def use_link(self, session: Session) -> None:
        """Write to a connection through its link only, because bytes wait there."""
        for slot in _slots_of(session):
            self.handles[slot] = None

    def by_deflate_window(self, slots: BitMap) -> Iterator[tuple[int, BitMap]]:
        """Split slots by the window that their connections' payloads are compressed with."""
        for window_bits, deflated in self._deflated.items():
            if same := slots & deflated:
                yield window_bits, same
                slots = slots - same
        if slots:
            yield UNCOMPRESSED, slots

    def record_sent(self, slots: BitMap, items: int) -> None:
        """Count `items` items written to each of these slots."""
        self._delivered.add(slots, items)
        self._written |= slots

    def nearly_due(self, items: int) -> BitMap:
        """Return the slots that were sent `items` items or more since their last checkpoint."""
        return self._delivered.at_least(items) if items > 0 else BitMap(range(len(self.sessions)))

    def partition_by_delivered(self, slots: BitMap) -> list[tuple[int, BitMap]]:
        """Split slots by the number of items since their last checkpoint."""
        return self._delivered.partition(slots)

    def mark_checkpointed(self, slots: BitMap, seq: int, delivered: int) -> None:
        """Note that these slots' clients were told to have everything up to `seq`, `delivered` items of it new."""
        self._delivered.clear(slots)
        self._written |= slots
        for slot in slots:
            session = self.sessions[slot]
            if session is not None:
                session.checkpointed(seq, delivered)

    def delivered(self, session: Session) -> int:
        """Count a connection's items since its last checkpoint."""
        return session.delivered + sum(map(self._delivered.count, _slots_of(session)))

    def flush_counts(self, session: Session) -> None:
        """Move the counts of a connection's slots to its session."""
        for slot in _slots_of(session):
            self._flush_count(slot)

    def flush_write_times(self, since: float) -> None:
        """Note in every session that was written to that this was at `since` (monotonic seconds), and start again."""
        written, self._written = self._written, BitMap()
        for slot in written:
            session = self.sessions[slot]
            if session is not None:
                session.wrote(since)

    def _flush_count(self, slot: int) -> None:
        session = self.sessions[slot]
        if session is not None:
            session.add_delivered(self._delivered.pop(slot))


def _slots_of(session: Session) -> list[int]:
    return [channel.slot for channel in session.channels if channel.slot >= 0]
