"""Assign the slots of the filter index to channels, and count the items written to each slot.

A slot is a number that stands for one channel of one connection. A channel keeps its slot until the channel is removed,
but the index contains the slot only while the connection is live. Items sent in shared frames are counted here in
bitmaps, for all connections at once, so that sending an item updates no session.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pyroaring import BitMap

from app.core.delivery.phases import Phase
from app.core.delivery.slot_counters import SlotCounters
from app.core.filters.filter_index import FilterIndex
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.channel import Channel
from app.flows.delivery.session import Session
from app.ports.transport import SendHandle


class Form(NamedTuple):
    """The form in which an item is sent: the deflate window of the frame, and whether it leaves out which other item
    this one duplicates.
    """

    window_bits: int
    is_restricted: bool


class Slots:
    """The slots of all channels, and the filter index, which contains only the slots of live connections."""

    def __init__(self) -> None:
        self.index = FilterIndex()
        # Lists that are indexed by slot and read for every recipient of every item. A handle is None if `SendMany` must
        # not write to the connection, because bytes wait in the link or the connection is closing or over.
        self.handles: list[SendHandle | None] = []
        self.sessions: list[Session | None] = []
        self.channels: list[Channel | None] = []
        self._free: list[int] = []
        # The slots of connections that need frames of their own, because they have named channels or use acks.
        self.unshared = BitMap()
        # The slots of connections whose token hides items for good.
        self.restricted = BitMap()
        # For live connections that share frames: `_delivered` counts the items that each slot was sent since its last
        # checkpoint, and `_written` has the slots that were written to since the last `flush_write_times`.
        self._delivered = SlotCounters()
        self._written = BitMap()
        # The slots of connections with compressed payloads, by their deflate window.
        self._deflated: dict[int, BitMap] = {}

    def allocate(self, session: Session, channel: Channel) -> None:
        """Allocate a slot for a channel; the slot is not in the index yet."""
        channel.slot = self._free.pop() if self._free else self._grow()
        self.sessions[channel.slot] = session
        self.channels[channel.slot] = channel
        self.use_send_many(session)
        if not session.uses_shared_frames:
            self.unshared.update(_slots_of(session))
        window_bits = session.options.deflate_window_bits
        if window_bits != UNCOMPRESSED:
            self._deflated.setdefault(window_bits, BitMap()).add(channel.slot)

    def free(self, channel: Channel) -> None:
        """Remove a channel's slot from the index, move its count of items to the session, and make the slot available
        again.
        """
        if channel.slot < 0:
            # The session failed to open before this channel got a slot.
            return
        self.handles[channel.slot] = None
        self._flush_count(channel.slot)
        self.index.remove(channel.slot)
        for slots in self._deflated.values():
            slots.discard(channel.slot)
        self.unshared.discard(channel.slot)
        self.restricted.discard(channel.slot)
        self._written.discard(channel.slot)
        self.sessions[channel.slot] = self.channels[channel.slot] = None
        self._free.append(channel.slot)
        channel.slot = -1

    def put(self, channel: Channel) -> None:
        """Put a channel's filter into the index, replacing the one before.

        A filter that could not be loaded is put in as broken: it matches nothing, and every item counts as an error for
        it.
        """
        session = self.sessions[channel.slot]
        if session is not None and session.token.entitled.hides_for_good:
            self.restricted.add(channel.slot)
        else:
            self.restricted.discard(channel.slot)
        if channel.filter is None or session is None:
            self.index.put_broken(channel.slot)
        else:
            self.index.put(channel.slot, channel.filter, session.token.entitled)

    def activate(self, session: Session) -> None:
        """Put a connection's filters into the index, and allow `SendMany` to write to it.

        If the connection uses shared frames, its count of items since the last checkpoint moves from the session to the
        slot.
        """
        if session.link is not None:
            session.link.set_write_limit(0)
        self.use_send_many(session)
        for channel in session.channels:
            self.put(channel)
            if session.uses_shared_frames:
                self._delivered.add(BitMap([channel.slot]), session.delivered)
                session.add_delivered(-session.delivered)

    def deactivate(self, session: Session) -> None:
        """Remove a connection's filters from the index, and move the counts of its slots to the session."""
        self.flush_counts(session)
        for channel in session.channels:
            self.index.remove(channel.slot)

    def use_send_many(self, session: Session) -> None:
        """Allow `SendMany` to write to a connection's socket, bypassing the link. It is not allowed if bytes wait in
        the link, which must be sent first, or if the link is closing.
        """
        handle = None if session.link is None else session.link.send_handle
        for slot in _slots_of(session):
            self.handles[slot] = handle

    def use_link(self, session: Session) -> None:
        """Allow writes to a connection through its link only, because bytes that wait in the link must
        be sent first.
        """
        for slot in _slots_of(session):
            self.handles[slot] = None

    def by_form(self, slots: BitMap, *, by_restriction: bool) -> Iterator[tuple[Form, BitMap]]:
        """Group slots by the form in which their connections are sent an item, and yield each form with its slots.
        Unless `by_restriction`, no form is restricted.
        """
        if by_restriction and (restricted := slots & self.restricted):
            slots = slots - restricted
            yield from ((Form(bits, is_restricted=True), part) for bits, part in _by_window(self._deflated, restricted))
        yield from ((Form(bits, is_restricted=False), part) for bits, part in _by_window(self._deflated, slots))

    def record_sent(self, slots: BitMap, items: int) -> None:
        """Count `items` items written to each of these slots."""
        self._delivered.add(slots, items)
        self._written |= slots

    def nearly_due(self, items: int) -> BitMap:
        """Return the slots that were sent at least `items` items since their last checkpoint. These are all slots if
        `items` is 0 or less.
        """
        return self._delivered.at_least(items) if items > 0 else BitMap(range(len(self.sessions)))

    def partition_by_delivered(self, slots: BitMap) -> list[tuple[int, BitMap]]:
        """Group slots by the number of items sent to them since their last checkpoint.

        The result has a pair for each such number: the number, and the slots with it.
        """
        return self._delivered.partition(slots)

    def mark_checkpointed(self, slots: BitMap, seq: int, delivered: int) -> None:
        """Record that these slots were sent a checkpoint at `seq`, with `delivered` items since the previous one.

        Their counts of items since the last checkpoint start again at 0.
        """
        self._delivered.clear(slots)
        self._written |= slots
        for slot in slots:
            session = self.sessions[slot]
            if session is not None:
                session.checkpointed(seq, delivered)

    def delivered(self, session: Session) -> int:
        """Return the number of items sent to a connection since its last checkpoint."""
        return session.delivered + sum(map(self._delivered.count, _slots_of(session)))

    def flush_counts(self, session: Session) -> None:
        """Move the item counts of a connection's slots to `session.delivered`."""
        for slot in _slots_of(session):
            self._flush_count(slot)

    def flush_write_times(self, since: float) -> None:
        """Update the last write time of every session that was sent shared frames since the previous flush. Which
        sessions these are is recorded, but not when they were written to. So `since` (monotonic seconds), the time of
        the previous flush, is used; a session that already has a later time keeps it.
        """
        written, self._written = self._written, BitMap()
        for slot in written:
            session = self.sessions[slot]
            if session is not None:
                session.wrote(since)

    def live_sessions(self) -> list[Session]:
        """Return the sessions whose filters are in the index, each once."""
        owners = filter(None, self.sessions)
        return [session for session in dict.fromkeys(owners) if session.phase is Phase.LIVE]

    def sessions_of(self, slots: Iterable[int]) -> list[Session]:
        """Return the sessions that own these slots; a session occurs once for each of its slots."""
        return [session for session in map(self.sessions.__getitem__, slots) if session is not None]

    def _grow(self) -> int:
        """Add one slot, and return its number."""
        slot = len(self.channels)
        for column in (self.handles, self.sessions, self.channels):
            # An earlier call that failed may have made a column longer than `channels`, which grows last.
            del column[slot:]
            column.append(None)
        return slot

    def _flush_count(self, slot: int) -> None:
        session = self.sessions[slot]
        if session is not None:
            session.add_delivered(self._delivered.pop(slot))


def _by_window(deflated: Mapping[int, BitMap], slots: BitMap) -> Iterator[tuple[int, BitMap]]:
    """Group slots by the deflate window of their connections, and yield each window with its slots. The window of
    connections without compression is UNCOMPRESSED.
    """
    for window_bits, same_window in deflated.items():
        if same := slots & same_window:
            yield window_bits, same
            slots = slots - same
    if slots:
        yield UNCOMPRESSED, slots


def _slots_of(session: Session) -> list[int]:
    return [channel.slot for channel in session.channels if channel.slot >= 0]
