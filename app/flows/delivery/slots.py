"""Which slot of the index is whose. This file owns the slots: one for each channel of each open connection.

A slot keeps its number as long as its channel is used; it is in the index only while its connection is live. What
nearly everybody gets is noted here in bitmaps, for all at once: no session is touched for an item.
"""

from collections.abc import Iterator

from pyroaring import BitMap

from app.core.delivery.slot_counters import SlotCounters
from app.core.filters.filter_index import FilterIndex
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.session import Channel, Session
from app.ports.transport import SendHandle


class Slots:
    """The slots and the filter index over the live ones."""

    def __init__(self) -> None:
        self.index = FilterIndex()
        # By slot; read for every recipient of every item. Where a volley must not write there is no handle: something
        # waits in the link, or the connection is over.
        self.handles: list[SendHandle | None] = []
        self.sessions: list[Session | None] = []
        self.channels: list[Channel | None] = []
        self._free: list[int] = []
        # Those of connections that are told their channels, or acknowledge.
        self.unshared = BitMap()
        # What was written to the other live ones since their sessions were last told, and to whom anything was.
        self._delivered = SlotCounters()
        self._written = BitMap()
        # Those of connections with compressed payloads, by their window.
        self._deflated: dict[int, BitMap] = {}

    def allocate(self, session: Session, channel: Channel) -> None:
        """Give a channel a slot; it is not in the index yet."""
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
        if session.window_bits != UNCOMPRESSED:
            self._deflated.setdefault(session.window_bits, BitMap()).add(channel.slot)

    def free(self, channel: Channel) -> None:
        """Free a channel's slot."""
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
        """Let items find a channel from now on."""
        session = self.sessions[channel.slot]
        if channel.filter is None or session is None:
            self.index.put_broken(channel.slot)
        else:
            self.index.put(channel.slot, channel.filter, session.entitled)

    def by_deflate_window(self, slots: BitMap) -> Iterator[tuple[int, BitMap]]:
        """Part slots by the window that their connections' payloads are compressed with."""
        for window_bits, deflated in self._deflated.items():
            if alike := slots & deflated:
                yield window_bits, alike
                slots = slots - alike
        if slots:
            yield UNCOMPRESSED, slots

    def use_send_many(self, session: Session) -> None:
        """Let volleys write to a connection where nothing waits."""
        handle = None if session.link is None else session.link.send_handle
        for slot in _slots_of(session):
            self.handles[slot] = handle

    def use_link(self, session: Session) -> None:
        """Let what is written to a connection go by its link alone: something waits there."""
        for slot in _slots_of(session):
            self.handles[slot] = None

    def activate(self, session: Session) -> None:
        """Let items find a connection."""
        if session.link is not None:
            session.link.set_write_limit(0)
        self.use_send_many(session)
        for channel in session.channels:
            self.put(channel)
            if session.uses_shared_frames:
                self._delivered.add(BitMap([channel.slot]), session.delivered)
                session.delivered = 0

    def record_sent(self, slots: BitMap, items: int) -> None:
        """Note that so many items were written to each of these slots."""
        self._delivered.add(slots, items)
        self._written |= slots

    def nearly_due(self, items: int) -> BitMap:
        """Give the slots that had so many items, or more, since their connections were told where they stand."""
        return self._delivered.at_least(items) if items > 0 else BitMap(range(len(self.sessions)))

    def partition_by_delivered(self, slots: BitMap) -> list[tuple[int, BitMap]]:
        """Part slots by how many items they had since then."""
        return self._delivered.partition(slots)

    def mark_checkpointed(self, slots: BitMap, seq: int, delivered: int) -> None:
        """Note that these were told to hold everything up to `seq`, `delivered` items of it since the last time."""
        self._delivered.clear(slots)
        self._written |= slots
        for slot in slots:
            session = self.sessions[slot]
            if session is not None:
                session.sent += delivered
                session.checkpoint_seq = seq

    def delivered(self, session: Session) -> int:
        """Count what a connection had since it was last told where it stands."""
        return session.delivered + sum(map(self._delivered.count, _slots_of(session)))

    def flush_counts(self, session: Session) -> None:
        """Let a session know itself how many items it had."""
        for slot in _slots_of(session):
            self._flush_count(slot)

    def flush_write_times(self, since: float) -> None:
        """Let the sessions know to whom anything was written after `since` (monotonic seconds), and begin anew."""
        written, self._written = self._written, BitMap()
        for slot in written:
            session = self.sessions[slot]
            if session is not None:
                session.last_written_at = max(session.last_written_at, since)

    def _flush_count(self, slot: int) -> None:
        session = self.sessions[slot]
        if session is not None:
            session.delivered += self._delivered.pop(slot)

    def deactivate(self, session: Session) -> None:
        """Let no item find a connection any more."""
        self.flush_counts(session)
        for channel in session.channels:
            self.index.remove(channel.slot)


def _slots_of(session: Session) -> list[int]:
    return [channel.slot for channel in session.channels if channel.slot >= 0]
