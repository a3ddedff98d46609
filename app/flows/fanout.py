"""Items to everybody who wants them. This file owns the loop over recipients, and what goes to whom.

Nearly everybody gets the same bytes: of the items that wait, each connection gets those that it wants in one write, and
connections that want the same share one buffer. A connection with named channels is told which of them wanted an item,
once for all of its channels; one that acknowledges has the item in its window from here on.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from app.core import wire
from app.core.grouping import Group, group
from app.core.limits import Limits
from app.flows.session import Session
from app.flows.slots import Slots
from app.ports import Clock, Record
from app.telemetry.histogram import Example
from app.telemetry.stats import SLOW_DELIVERY_S, Fanned, Stats

# How many sends share one reading of the clock.
_STAMP_EVERY = 64


class Outgoing(NamedTuple):
    """An item that is decided: who wants it, and the frame that plain connections get."""

    record: Record
    frame: bytes
    recipients: BitMap


class Outcome(NamedTuple):
    """Who has to be looked after once items are out: whose buffer or window is full, and who is due a checkpoint."""

    full: list[Session]
    due: list[Session]


class _Tally:
    """What became of one item's sends."""

    __slots__ = ("asked", "frame_bytes", "latencies", "written")

    def __init__(self) -> None:
        self.asked = self.written = self.frame_bytes = 0
        self.latencies: list[tuple[float, int]] = []


class Fanout:
    """Writes items to the connections whose slots matched. Nothing here waits for a client."""

    def __init__(self, slots: Slots, limits: Limits, clock: Clock, stats: Stats) -> None:
        self._slots = slots
        self._limits = limits
        self._clock = clock
        self._stats = stats

    def send(self, batch: Sequence[Outgoing]) -> Outcome:
        """Write items, in order, to every slot that matched them."""
        outcome, tallies = Outcome([], []), [_Tally() for _ in batch]
        named: list[dict[Session, list[str]]] = [{} for _ in batch]
        for alike in group([one.recipients for one in batch]):
            self._send_alike(batch, alike, tallies, named, outcome)
        for one, tally, channels in zip(batch, tallies, named, strict=True):
            self._send_named(one, tally, channels, outcome)
        for one, tally in zip(batch, tallies, strict=True):
            self._count(one, tally)
        return outcome

    def _send_alike(
        self,
        batch: Sequence[Outgoing],
        alike: Group,
        tallies: Sequence[_Tally],
        named: Sequence[dict[Session, list[str]]],
        outcome: Outcome,
    ) -> None:
        """Write the same items to all who want them; put those with names aside."""
        frames = b"".join(batch[place].frame for place in alike.items)
        count, now = len(alike.items), self._clock.monotonic()
        limit, checkpoint = self._limits.write_buffer_bytes, self._limits.checkpoint_items
        asked = written = stamped = 0
        for session in self._plain(alike, named):
            asked += 1
            link = session.link
            # A session with a slot has a link.
            if link is None or not link.write(frames):
                continue
            session.written_at = now
            session.delivered += count
            if session.delivered >= checkpoint:
                outcome.due.append(session)
            if link.buffered() > limit:
                outcome.full.append(session)
            written += 1
            if written - stamped == _STAMP_EVERY:
                self._stamp(batch, alike.items, tallies, _STAMP_EVERY)
                stamped = written
        self._stamp(batch, alike.items, tallies, written - stamped)
        for place in alike.items:
            tally = tallies[place]
            tally.asked += asked
            tally.written += written
            tally.frame_bytes += len(batch[place].frame) * written

    def _plain(self, alike: Group, named: Sequence[dict[Session, list[str]]]) -> Iterator[Session]:
        sessions, channels = self._slots.sessions, self._slots.channels
        for slot in alike.slots:
            session = sessions[slot]
            if session is None:
                continue
            if session.is_plain:
                yield session
            elif (channel := channels[slot]) is not None:
                channel.matched += len(alike.items)
                for place in alike.items:
                    named[place].setdefault(session, []).append(channel.name)

    def _send_named(self, one: Outgoing, tally: _Tally, channels: dict[Session, list[str]], outcome: Outcome) -> None:
        """Write one item to connections that have named channels, or acknowledge."""
        record, now = one.record, self._clock.monotonic()
        written = 0
        for session, frame in _frames(channels, record, one.frame):
            tally.asked += 1
            link = session.link
            if link is None or not link.write(frame):
                continue
            written += 1
            session.written_at = now
            session.delivered += 1
            tally.frame_bytes += len(frame)
            if session.delivered >= self._limits.checkpoint_items:
                outcome.due.append(session)
            if session.window is not None:
                session.window.add(record.seq, record.accepted_at, now)
            if link.buffered() > self._limits.write_buffer_bytes or session.is_window_full(self._limits):
                outcome.full.append(session)
        tally.written += written
        self._stamp([one], (0,), [tally], written)

    def _stamp(self, batch: Sequence[Outgoing], places: Iterable[int], tallies: Sequence[_Tally], sends: int) -> None:
        """Read the clock for so many sends of each item."""
        if not sends:
            return
        now = self._clock.wall()
        for place in places:
            tallies[place].latencies.append((max(now - batch[place].record.accepted_at, 0.0), sends))

    def _count(self, one: Outgoing, tally: _Tally) -> None:
        """Count one item, and leave a slow delivery behind as an exemplar, so that a panel leads to the item."""
        record, merged = one.record, len(one.recipients) - tally.asked
        payload_bytes = len(record.item_json) * tally.written
        closed = tally.asked - tally.written
        self._stats.item_sent(Fanned(tally.written, closed, merged, payload_bytes, tally.frame_bytes, tally.latencies))
        slowest_s = max((seconds for seconds, _ in tally.latencies), default=0.0)
        if slowest_s > SLOW_DELIVERY_S:
            labels = {"item_id": record.item.id[:64]} | ({"trace_id": record.trace_id} if record.trace_id else {})
            self._stats.delivery_was_slow(Example(labels, slowest_s, self._clock.wall()))


def _frames(channels: dict[Session, list[str]], record: Record, frame: bytes) -> Iterator[tuple[Session, bytes]]:
    """Give each connection with what it gets; those with the same channels share their bytes too."""
    frames: dict[tuple[str, ...], bytes] = {(): frame}
    for session, matched in channels.items():
        names = channel_names(session, matched)
        if names not in frames:
            frames[names] = wire.text_frame(wire.news_item(record.seq, record.accepted_at, record.item_json, names))
        yield session, frames[names]


def channel_names(session: Session, matched: Iterable[str]) -> tuple[str, ...]:
    """Give what an item's `channels` say: nothing where the connection has no named channel."""
    return tuple(sorted(matched)) if session.has_names else ()
