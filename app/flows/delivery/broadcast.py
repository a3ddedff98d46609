"""From the log to the sockets: the task that fills websocket_queue, and the broadcaster that empties it.

The queue is bounded and its policy is backpressure: while it is full the follower waits, and the log keeps what is to
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
from app.flows.delivery.fanout import Outgoing
from app.flows.delivery.live import LiveSet
from app.ports.clock import Clock
from app.ports.log import NewsLog, Record
from app.telemetry.labels import Stage
from app.telemetry.stats import Stats

STEPS = (Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD, Outcome.ERROR)
_IDLE_TICK_S = 5.0
_CAUGHT_UP_POLL_S = 0.005
# One write must not make a healthy client look slow: what the kernel does not take waits until the event loop runs.
_BATCH_BYTES = 64 * 1024
_BATCH_ITEMS = 64

_log = structlog.get_logger("broadcast")


class Probe(NamedTuple):
    """A record that is not news: its frame goes to `send` and nowhere else, and its sender counts it."""

    record: Record
    send: Callable[[bytes], None]


class Matched(NamedTuple):
    """An item that is about to be sent, its match, and how many seconds matching and encoding took."""

    outgoing: Outgoing
    match: Match
    match_s: float
    encode_s: float


class BroadcastQueue(asyncio.Queue[Record | Probe]):
    """websocket_queue: bounded, and able to tell how many items wait and for how long. A probe is not an item."""

    def items(self) -> list[Record]:
        """Return the items that wait."""
        return [waiting for waiting in self._queue if isinstance(waiting, Record)]

    def oldest_age_s(self, now: float) -> float:
        """Return the age of the oldest waiting item, 0 if none waits; `now` in Unix seconds."""
        return max((now - item.accepted_at for item in self.items()[:1]), default=0.0)

    async def put_probe(self, probe: Probe) -> None:
        """Add a probe, unless one waits already: while nothing is taken, probes must not pile up."""
        if not any(isinstance(waiting, Probe) for waiting in self._queue):
            await self.put(probe)

    # asyncio.Queue documents _init, _put and _get as the methods for subclasses to override.
    def _init(self, maxsize: int) -> None:  # noqa: ARG002
        self._queue: deque[Record | Probe] = deque()


class WebSocketBroadcaster:
    """Takes items in log order, finds which slots match, and sends the same bytes to all that match the same items."""

    def __init__(
        self, log: NewsLog, websocket_queue: BroadcastQueue, live: LiveSet, clock: Clock, stats: Stats
    ) -> None:
        self._news_log = log
        self._queue = websocket_queue
        self._live = live
        self._clock = clock
        self._stats = stats
        self._last_tick_at = clock.monotonic()

    def idle_s(self) -> float:
        """Return the seconds since the last tick. There is a tick every few seconds even if there is nothing to do."""
        return self._clock.monotonic() - self._last_tick_at

    async def follow(self) -> None:
        """Move every item that becomes durable from now on into the queue, until cancelled."""
        async for records in self._news_log.follow(self._live.position):
            for record in records:
                await self._queue.put(record)

    async def run(self) -> None:
        """Broadcast what is in the queue, until cancelled."""
        while True:
            self._last_tick_at = self._clock.monotonic()
            self._stats.broadcast.record_tick(self._clock.wall())
            with suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_TICK_S):
                    self._take_batch(await self._queue.get())
            # What the kernel did not take is written when the event loop runs. Without a pause here a burst would pile
            # up, and healthy clients would look slow.
            await asyncio.sleep(0)

    async def wait_until_caught_up(self) -> None:
        """Wait until everything in the log was broadcast."""
        while self._live.position < self._news_log.head:
            await self._clock.sleep(_CAUGHT_UP_POLL_S)

    def broadcast(self, *records: Record) -> None:
        """Send items, in order, to every slot that matches them.

        An item that cannot be matched or sent is skipped and counted as an error.
        """
        now = self._clock.wall()
        for record in records:
            self._stats.broadcast.record_taken(max(now - record.accepted_at, 0.0), now)
        matched = [item for item in map(self._match_and_encode, records) if item is not None]
        try:
            self._send(matched)
        # An error here must not stop the items that follow; log and metrics show it.
        except Exception:  # noqa: BLE001
            _log.exception("broadcast_failed", sequence=records[-1].seq, items=len(matched))
            for _ in matched:
                self._stats.broadcast.record_failure()
        # Also if the last items had no recipients.
        self._live.advance_to(records[-1].seq)

    def _take_batch(self, first: Record | Probe) -> None:
        """Take what waits now: of items as many as fit into one write. Nothing is held back to make a batch."""
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
        """Do all that is done for an item, but send the frame to the probe only. A probe that fails never arrives."""
        try:
            self._live.index.match(probe.record.item)
            probe.send(frames.text_frame(_payload(probe.record)))
        except Exception:  # noqa: BLE001 - the same edge as for an item
            _log.exception("probe_failed")

    def _match_and_encode(self, record: Record) -> Matched | None:
        """Find the slots that match an item, and make its message; return None if that fails."""
        started = self._clock.monotonic()
        try:
            match = self._match(record)
            matched_at = self._clock.monotonic()
            message = frames.EncodedMessage(_payload(record))
        except Exception:  # noqa: BLE001 - the same edge
            _log.exception("broadcast_failed", item_id=record.item.id, sequence=record.seq)
            self._stats.broadcast.record_failure()
            return None
        outgoing = Outgoing(record, message, match.recipients)
        return Matched(outgoing, match, matched_at - started, self._clock.monotonic() - matched_at)

    def _match(self, record: Record) -> Match:
        slots = len(self._live.index)
        self._stats.broadcast.record_slots(slots)
        try:
            match = self._live.index.match(record.item)
        except Exception:
            self._stats.broadcast.record_undecided(slots)
            raise
        self._stats.broadcast.record_decisions(match)
        return match

    def _send(self, matched: Sequence[Matched]) -> None:
        if not matched:
            return
        started = self._clock.monotonic()
        self._live.deliver([item.outgoing for item in matched])
        write_s = self._clock.monotonic() - started
        for item in matched:
            # The items were written together: each gets its share of the time.
            times = ((Stage.MATCH, item.match_s), (Stage.ENCODE, item.encode_s), (Stage.WRITE, write_s / len(matched)))
            self._stats.broadcast.record_stages(times)
            _log.info("item_broadcast", **_summary(item.outgoing.record, item.match, times))


def _payload(record: Record) -> bytes:
    return frames.news_item(record.seq, record.accepted_at, record.item_json)


def _summary(record: Record, match: Match, stages: Iterable[tuple[Stage, float]]) -> dict[str, object]:
    """Summarize what became of an item in one log line, in the words of the metrics."""
    rejected = {step.value: count for step in STEPS if (count := getattr(match, step.value))}
    times = {f"{stage}_ms": round(seconds * 1000, 3) for stage, seconds in stages}
    trace = {"trace_id": record.trace_id} if record.trace_id else {}
    names = {"item_id": record.item.id, "sequence": record.seq, "recipients": len(match.recipients)}
    return {**names, "rejected_by": rejected, **times, **trace}
