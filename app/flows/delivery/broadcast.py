"""From the log to the sockets. This file owns the follower that fills websocket_queue and who empties it.

The queue is bounded and its policy is back-pressure: when it is full the follower waits, and the log keeps what is to
come.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog

from app.core.filters.filter_index import Match
from app.core.filters.matching import Outcome
from app.core.protocol import frames
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.fanout import Outgoing
from app.ports.clock import Clock
from app.ports.log import NewsLog, Record
from app.telemetry.labels import Stage
from app.telemetry.stats import Stats

STEPS = (Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD, Outcome.ERROR)
_IDLE_TURN_S = 5.0
# One write must not make a healthy client look slow: what the kernel does not take waits until the loop turns.
_BATCH_BYTES = 64 * 1024
_BATCH_ITEMS = 64

_log = structlog.get_logger("broadcast")


class Probe(NamedTuple):
    """A record that is no news: its frame goes to `send` and nowhere else, and it is counted by who sent it."""

    record: Record
    send: Callable[[bytes], None]


class Matched(NamedTuple):
    """An item that is about to go out, what was decided, and how long that took (seconds)."""

    outgoing: Outgoing
    match: Match
    match_s: float
    encode_s: float


class BroadcastQueue(asyncio.Queue[Record | Probe]):
    """websocket_queue: bounded, and able to say how many items wait and for how long. A probe is no item."""

    def items(self) -> list[Record]:
        """Give the items that wait."""
        return [waiting for waiting in self._queue if isinstance(waiting, Record)]

    def oldest_age_s(self, now: float) -> float:
        """Give the age of the oldest waiting item, 0 when none waits; `now` in Unix seconds."""
        return max((now - item.accepted_at for item in self.items()[:1]), default=0.0)

    async def put_probe(self, probe: Probe) -> None:
        """Put a probe behind what waits, unless one waits already: while nothing is taken they must not pile up."""
        if not any(isinstance(waiting, Probe) for waiting in self._queue):
            await self.put(probe)

    # asyncio.Queue documents _init, _put and _get as its points for subclasses.
    def _init(self, maxsize: int) -> None:  # noqa: ARG002
        self._queue: deque[Record | Probe] = deque()


class WebSocketBroadcaster:
    """Takes items in log order, decides who wants them, and hands the same bytes to all who want the same."""

    def __init__(
        self,
        log: NewsLog,
        websocket_queue: BroadcastQueue,
        connections: ConnectionManager,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._news_log = log
        self._queue = websocket_queue
        self._connections = connections
        self._clock = clock
        self._stats = stats
        self._last_tick_at = clock.monotonic()

    def idle_s(self) -> float:
        """Give the seconds since the last turn; it turns every few seconds when there is nothing to do."""
        return self._clock.monotonic() - self._last_tick_at

    async def follow(self) -> None:
        """Move every item that becomes durable from now on into the queue, for ever."""
        async for records in self._news_log.follow(self._connections.position):
            for record in records:
                await self._queue.put(record)

    async def run(self) -> None:
        """Broadcast what is in the queue, for ever; turn every few seconds when there is nothing."""
        while True:
            self._last_tick_at = self._clock.monotonic()
            self._stats.last_loop_at = self._clock.wall()
            with suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_TURN_S):
                    self._take_batch(await self._queue.get())
            # What the kernel did not take goes out when the loop turns: without a turn here a burst would pile up and
            # healthy clients would look slow.
            await asyncio.sleep(0)

    async def wait_until_caught_up(self) -> None:
        """Wait until everything in the log went out."""
        while self._connections.position < self._news_log.head:
            await self._clock.sleep(0.005)

    def broadcast(self, *records: Record) -> None:
        """Send items, in order, to every slot that wants them.

        An item that cannot be decided or sent goes to nobody, and is counted.
        """
        now = self._clock.wall()
        for record in records:
            self._stats.item_taken(max(now - record.accepted_at, 0.0), now)
        decided = [one for one in map(self._match_and_encode, records) if one is not None]
        try:
            self._send(decided)
        # Broken inside state must not stop the wire for the items behind; it is loud in log and metric.
        except Exception:  # noqa: BLE001
            _log.exception("broadcast_failed", sequence=records[-1].seq, items=len(decided))
            for _ in decided:
                self._stats.item_failed()
        # Also where the last ones went to nobody.
        self._connections.advance_to(records[-1].seq)

    def _take_batch(self, first: Record | Probe) -> None:
        """Take what waits by now: of items, as many as fit into one write. Nothing is held back to make a batch."""
        waiting, size = first, 0
        records: list[Record] = []
        while True:
            if isinstance(waiting, Probe):
                self._flush(records)
                self._probe(waiting)
            else:
                records.append(waiting)
                size += len(waiting.item_json)
            self._queue.task_done()
            if size >= _BATCH_BYTES or len(records) == _BATCH_ITEMS or self._queue.empty():
                break
            waiting = self._queue.get_nowait()
        self._flush(records)

    def _flush(self, records: list[Record]) -> None:
        if records:
            self.broadcast(*records)
            records.clear()

    def _probe(self, probe: Probe) -> None:
        """Do all that is done for an item, and give the frame to the probe alone. One that fails never arrives."""
        try:
            self._connections.index.match(probe.record.item)
            probe.send(frames.text_frame(_payload(probe.record)))
        except Exception:  # noqa: BLE001 - the same edge as an item's
            _log.exception("probe_failed")

    def _match_and_encode(self, record: Record) -> Matched | None:
        """Find who wants an item, and make its message; None where that fails."""
        began = self._clock.monotonic()
        try:
            match = self._match(record)
            matched = self._clock.monotonic()
            message = frames.EncodedMessage(_payload(record))
        except Exception:  # noqa: BLE001 - the same edge
            _log.exception("broadcast_failed", item_id=record.item.id, sequence=record.seq)
            self._stats.item_failed()
            return None
        encoded = self._clock.monotonic()
        return Matched(Outgoing(record, message, match.recipients), match, matched - began, encoded - matched)

    def _send(self, decided: Sequence[Matched]) -> None:
        if not decided:
            return
        began = self._clock.monotonic()
        self._connections.deliver([one.outgoing for one in decided])
        written = self._clock.monotonic() - began
        for one in decided:
            # Written together: each item's share of the time.
            times = ((Stage.MATCH, one.match_s), (Stage.ENCODE, one.encode_s), (Stage.WRITE, written / len(decided)))
            self._stats.staged(times)
            _log.info("item_broadcast", **_summary(one.outgoing.record, one.match, times))

    def _match(self, record: Record) -> Match:
        self._stats.slots_to_ask(len(self._connections.index))
        try:
            match = self._connections.index.match(record.item)
        except Exception:
            self._stats.item_undecided(len(self._connections.index))
            raise
        self._stats.item_decided(match)
        return match


def _payload(record: Record) -> bytes:
    return frames.news_item(record.seq, record.accepted_at, record.item_json)


def _summary(record: Record, match: Match, stages: Iterable[tuple[Stage, float]]) -> dict[str, object]:
    """Say in one line what became of an item, in the words of the metrics."""
    rejected = {step.value: count for step in STEPS if (count := getattr(match, step.value))}
    times = {f"{stage}_ms": round(seconds * 1000, 3) for stage, seconds in stages}
    trace = {"trace_id": record.trace_id} if record.trace_id else {}
    names = {"item_id": record.item.id, "sequence": record.seq, "recipients": len(match.recipients)}
    return {**names, "rejected_by": rejected, **times, **trace}
