"""Who is connected. This file owns the registry of sessions and their slots, and everything that goes to many of them.

Nothing here awaits a client: frames are handed to transports, a client that does not take them is cut off.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import structlog
from pyroaring import BitMap

from app.core import wire
from app.core.closing import Ending
from app.core.errors import Code, Ours
from app.core.index import FilterIndex
from app.core.limits import Limits
from app.core.subscription import Filter
from app.flows.places import Places
from app.flows.session import Session
from app.ports import Clock, Link, Record
from app.telemetry.histogram import Example
from app.telemetry.labels import SlowAction
from app.telemetry.stats import SLOW_DELIVERY_S, Fanout, Stats

# How many sends share one reading of the clock.
_STAMP_EVERY = 64
_REMEMBERED_VISITS = 1_000
# From here on a connection counts as paused: its client takes less than is written.
_PAUSED_BYTES = 64 * 1024

_log = structlog.get_logger("connections")


class Buffers(NamedTuple):
    """What waits in write buffers: all bytes, those of the fullest, and how many hold more than a little."""

    bytes: int
    most_bytes: int
    paused: int


class Visit(NamedTuple):
    """A connection as operators see it: who, for how long, what it got, what waits, why it ended."""

    connection_id: str
    user_id: str
    device_id: str | None
    duration_s: float
    items: int
    buffered_bytes: int
    idle_s: float
    reason: Ending | None
    closed_at: float | None


class ConnectionManager:
    """Every connection, its slot in the filter index, and the ways to write to many."""

    def __init__(self, limits: Limits, clock: Clock, stats: Stats, position: int = 0) -> None:
        self.index = FilterIndex()
        self.position = position
        self.last_item_at: float | None = None
        self.is_draining = False
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._places = Places(limits, clock)
        self._slots: list[Session | None] = []
        self._free_slots: list[int] = []
        self._gone: deque[Visit] = deque(maxlen=_REMEMBERED_VISITS)

    def __len__(self) -> int:
        """Count the open connections."""
        return len(self._slots) - len(self._free_slots)

    @property
    def users(self) -> int:
        return self._places.users

    @property
    def has_place(self) -> bool:
        """Say whether the limit leaves a place for another connection."""
        return not self._places.is_full

    def buffers(self) -> Buffers:
        """Look at every write buffer."""
        # Most hold nothing: only what is left is looked at twice.
        links = [session.link for session in self._slots if session is not None]
        sizes = [size for link in links if link is not None and (size := link.buffered())]
        return Buffers(sum(sizes), max(sizes, default=0), sum(size > _PAUSED_BYTES for size in sizes))

    def visits(self, *, are_open: bool) -> list[Visit]:
        """Give the open connections, or the last thousand that ended, newest first."""
        if not are_open:
            return list(reversed(self._gone))
        sessions = (session for session in self._slots if session is not None)
        return sorted(map(self._visit, sessions), key=lambda visit: visit.duration_s)

    def seat(self, user_id: str, device_id: str | None = None) -> Session:
        """Reserve a place, before the upgrade. Raises Ours(DRAINING, AT_CAPACITY) and Theirs(TOO_MANY_CONNECTIONS)."""
        if self.is_draining:
            raise Ours(Code.DRAINING, retry_after_s=5)
        return self._places.take(user_id, device_id)

    def open(self, session: Session, link: Link) -> None:
        """Make a seated session live: from here on it gets what its filter wants, and whom it replaces gets nothing."""
        session.link = link
        # One that was itself replaced while it shook hands takes nobody's place.
        for replaced in self._places.replaced_by(session) if session.ending is None else ():
            self.cut(replaced, Ending.REPLACED)
        session.checkpoint_seq = session.opened_seq = session.wants_seq = self.position
        if self._free_slots:
            session.slot = self._free_slots.pop()
            self._slots[session.slot] = session
        else:
            session.slot = len(self._slots)
            self._slots.append(session)
        self._index(session)
        if session.ending is not None:
            link.close(session.ending)
        self._stats.connection_opened()
        _log.info("connection_opened", connection_id=session.id, user_id=session.user_id)

    def leave(self, session: Session, ending: Ending) -> None:
        """Forget a session, once: what the server began to end keeps its own reason. Also gives back an unused seat."""
        if self._places.release(session) and session.link is not None:
            self._close_books(session, session.ending or ending)

    def _close_books(self, session: Session, ending: Ending) -> None:
        session.ending = ending
        self.index.drop(session.slot)
        self._slots[session.slot] = None
        self._free_slots.append(session.slot)
        self._gone.append(self._visit(session)._replace(closed_at=self._clock.wall()))
        life_s = self._clock.monotonic() - session.opened_at
        self._stats.connection_closed(ending, life_s)
        _log.info(
            "connection_closed",
            connection_id=session.id,
            user_id=session.user_id,
            reason=ending.value,
            duration_s=round(life_s, 3),
        )

    def cut(self, session: Session, ending: Ending) -> None:
        """Take a session out of the live set now and let its socket go; a seat not open yet ends as it opens."""
        if session.ending is None:
            if session.slot >= 0:
                self.index.drop(session.slot)
            session.end(ending)

    def write(self, session: Session, frame: bytes) -> None:
        """Write a frame to one client alone. Who does not read what it is answered is cut off like any slow client."""
        if session.link is None or session.ending is not None:
            return
        session.link.write(frame)
        session.written_at = self._clock.monotonic()
        if session.link.buffered() > self._limits.write_buffer_bytes:
            self._cut_slow([session])

    def set_filter(self, user_id: str, wants: Filter) -> None:
        """Apply a user's new stored filter to all of their connections that follow it."""
        for session in self._places.of(user_id):
            if not session.has_own_filter:
                session.wants, session.is_broken = wants, False
                session.wants_seq = self.position
                self._index(session)

    def deliver(self, frame: bytes, record: Record, recipients: BitMap) -> None:
        """Write one item's frame to every slot that matched it, and cut off who took too little before."""
        now = self._clock.monotonic()
        limit, checkpoint = self._limits.write_buffer_bytes, self._limits.checkpoint_items
        full: list[Session] = []
        due: list[Session] = []
        latencies: list[tuple[float, int]] = []
        written = stamped = 0
        for slot in recipients:
            session = self._slots[slot]
            if session is None or session.link is None:
                continue
            if not session.link.write(frame):
                continue
            session.written_at = now
            session.delivered += 1
            if session.delivered >= checkpoint:
                due.append(session)
            if session.link.buffered() > limit:
                full.append(session)
            written += 1
            if written - stamped == _STAMP_EVERY:
                latencies.append((self._since(record.accepted_at), _STAMP_EVERY))
                stamped = written
        latencies.append((self._since(record.accepted_at), written - stamped))
        closed = len(recipients) - written
        self._stats.item_sent(Fanout(written, closed, len(record.item_json), len(frame), latencies))
        self._exemplify(record, latencies[-1][0], written)
        self.level(record.seq)
        self._cut_slow(full)
        self.checkpoint(due)

    def level(self, seq: int) -> None:
        """Remember that everything up to `seq` went to whom it matched."""
        self.position = seq
        self.last_item_at = self._clock.monotonic()

    def open_sessions(self) -> list[Session]:
        """Give the connections that are live."""
        return [session for session in self._slots if session is not None and session.ending is None]

    def sessions_of(self, user_id: str) -> list[Session]:
        """Give a user's connections that are live."""
        return [session for session in self._places.of(user_id) if session.slot >= 0 and session.ending is None]

    def everyone(self) -> list[Session]:
        """Give every session that has a place, also those that are not open yet or not gone yet."""
        return self._places.everyone()

    def _index(self, session: Session) -> None:
        if session.slot < 0 or session.ending is not None:
            return
        if session.wants is None:
            self.index.put_broken(session.slot)
        else:
            self.index.put(session.slot, session.wants)

    def _visit(self, session: Session) -> Visit:
        now = self._clock.monotonic()
        return Visit(
            session.id,
            session.user_id,
            session.device_id,
            round(now - session.opened_at, 3),
            session.sent + session.delivered,
            session.link.buffered() if session.link is not None else 0,
            round(now - session.heard_at, 3),
            session.ending,
            None,
        )

    def _since(self, accepted_at: float) -> float:
        return max(self._clock.wall() - accepted_at, 0.0)

    def _exemplify(self, record: Record, latency_s: float, written: int) -> None:
        """Leave a slow delivery behind as an exemplar, with its trace, so that a panel leads to the item."""
        if written and latency_s > SLOW_DELIVERY_S:
            labels = {"item_id": record.item.id[:64]} | ({"trace_id": record.trace_id} if record.trace_id else {})
            self._stats.delivery_was_slow(Example(labels, latency_s, self._clock.wall()))

    def _cut_slow(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            buffered = session.link.buffered() if session.link else 0
            _log.warning("slow_consumer", connection_id=session.id, user_id=session.user_id, buffered_bytes=buffered)
            self._stats.slow[SlowAction.DISCONNECTED] += 1
            self.cut(session, Ending.SLOW_CONSUMER)

    def checkpoint(self, sessions: Iterable[Session]) -> None:
        """Tell clients up to where they hold everything."""
        now = self._clock.monotonic()
        age_ms = None if self.last_item_at is None else int((now - self.last_item_at) * 1000)
        for session in sessions:
            keep_alive = wire.keep_alive(self._clock.wall(), self.position, session.delivered, age_ms)
            self.write(session, wire.text_frame(keep_alive))
            session.sent += session.delivered
            session.delivered = 0
            session.checkpoint_seq = self.position
