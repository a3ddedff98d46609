"""One item to everybody who wants it. This file owns the loop over recipients, and what goes to whom.

Nearly everybody gets the same bytes. A connection with named channels is told which of them wanted the item, once for
all of its channels; one that acknowledges has the item in its window from here on.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pyroaring import BitMap

from app.core import wire
from app.core.limits import Limits
from app.flows.session import Session
from app.flows.slots import Slots
from app.ports import Clock, Record
from app.telemetry.histogram import Example
from app.telemetry.stats import SLOW_DELIVERY_S, Fanned, Stats

# How many sends share one reading of the clock.
_STAMP_EVERY = 64


class Outcome(NamedTuple):
    """Who has to be looked after once an item is out: whose buffer or window is full, and who is due a checkpoint."""

    full: list[Session]
    due: list[Session]


class Fanout:
    """Writes items to the connections whose slots matched. Nothing here waits for a client."""

    def __init__(self, slots: Slots, limits: Limits, clock: Clock, stats: Stats) -> None:
        self._slots = slots
        self._limits = limits
        self._clock = clock
        self._stats = stats

    def send(self, frame: bytes, record: Record, recipients: BitMap) -> Outcome:
        """Write one item to every slot that matched it; `frame` is what plain connections get."""
        now = self._clock.monotonic()
        limit, checkpoint = self._limits.write_buffer_bytes, self._limits.checkpoint_items
        outcome = Outcome([], [])
        latencies: list[tuple[float, int]] = []
        asked = written = stamped = frame_bytes = 0
        for session, bytes_ in self._addressed(frame, record, recipients):
            asked += 1
            # A session with a slot has a link.
            if not session.link.write(bytes_):  # type: ignore[union-attr]
                continue
            session.written_at = now
            session.delivered += 1
            if session.delivered >= checkpoint:
                outcome.due.append(session)
            if session.link.buffered() > limit or not self._has_window(session, record, now):  # type: ignore[union-attr]
                outcome.full.append(session)
            written += 1
            frame_bytes += len(bytes_)
            if written - stamped == _STAMP_EVERY:
                latencies.append((self._since(record.accepted_at), _STAMP_EVERY))
                stamped = written
        latencies.append((self._since(record.accepted_at), written - stamped))
        merged = len(recipients) - asked
        fanned = Fanned(written, asked - written, merged, len(record.item_json) * written, frame_bytes, latencies)
        self._stats.item_sent(fanned)
        self._exemplify(record, latencies[-1][0], written)
        return outcome

    def _addressed(self, frame: bytes, record: Record, recipients: BitMap) -> Iterator[tuple[Session, bytes]]:
        """Give each connection once, with the bytes that it gets."""
        sessions, channels = self._slots.sessions, self._slots.channels
        others: dict[Session, list[str]] = {}
        for slot in recipients:
            session = sessions[slot]
            if session is None:
                continue
            if session.is_plain:
                yield session, frame
            elif (channel := channels[slot]) is not None:
                channel.matched += 1
                others.setdefault(session, []).append(channel.name)
        yield from _named(others, record, frame)

    def _has_window(self, session: Session, record: Record, now: float) -> bool:
        """Remember what is to be acknowledged, and say whether there is room for more."""
        if session.window is None:
            return True
        session.window.add(record.seq, record.accepted_at, now)
        return len(session.window) < self._limits.window_items

    def _since(self, accepted_at: float) -> float:
        return max(self._clock.wall() - accepted_at, 0.0)

    def _exemplify(self, record: Record, latency_s: float, written: int) -> None:
        """Leave a slow delivery behind as an exemplar, with its trace, so that a panel leads to the item."""
        if written and latency_s > SLOW_DELIVERY_S:
            labels = {"item_id": record.item.id[:64]} | ({"trace_id": record.trace_id} if record.trace_id else {})
            self._stats.delivery_was_slow(Example(labels, latency_s, self._clock.wall()))


def _named(others: dict[Session, list[str]], record: Record, frame: bytes) -> Iterator[tuple[Session, bytes]]:
    """Give the connections that are told their channels; those with the same channels share their bytes too."""
    frames: dict[tuple[str, ...], bytes] = {}
    for session, matched in others.items():
        names = channel_names(session, matched)
        if not names:
            yield session, frame
            continue
        if names not in frames:
            frames[names] = wire.text_frame(wire.news_item(record.seq, record.accepted_at, record.item_json, names))
        yield session, frames[names]


def channel_names(session: Session, matched: Iterable[str]) -> tuple[str, ...]:
    """Give what an item's `channels` say: nothing where the connection has no named channel."""
    return tuple(sorted(matched)) if session.has_names else ()
