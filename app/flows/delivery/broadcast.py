"""Broadcast items as they become durable: one task moves them from the log into `websocket_queue`, another matches them
and writes them to clients.

The queue is bounded. While it is full, the first task waits (backpressure) and newer items stay in the log.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from app.core.filters.filter_index import Match
from app.core.filters.matching import Outcome
from app.core.protocol import frames
from app.flows.delivery.in_flight import Outgoing
from app.flows.delivery.live_delivery import LiveDelivery
from app.ports.clock import Clock
from app.ports.log import NewsLog, Record
from app.telemetry.labels import Stage
from app.telemetry.stats import Stats

STEPS = (Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD, Outcome.ERROR)
_IDLE_TICK_S = 5.0
_CAUGHT_UP_POLL_S = 0.005
# Limits of one batch. A connection gets the batch in one write, and bytes that the kernel does not take wait in memory
# until the event loop runs again. So after a larger write even a healthy client could look slow.
_BATCH_BYTES = 64 * 1024
_BATCH_ITEMS = 64

_log = structlog.get_logger("broadcast")


class Probe(NamedTuple):
    """A probe of the canary: `record` is an artificial item that is matched and encoded like news, but is not in the
    log.

    Its frame is passed to `send`, which writes it to the canary's own connection and to no other. Only the canary
    counts it.
    """

    record: Record
    send: Callable[[bytes], None]


class Matched(NamedTuple):
    """An item that is ready to be sent, the result of matching it, and how many seconds matching and encoding took."""

    outgoing: Outgoing
    match: Match
    match_s: float
    encode_s: float


class BroadcastQueue(asyncio.Queue[Record | Probe]):
    """The bounded queue between the log and the broadcaster, called `websocket_queue` elsewhere.

    It also reports which items wait and how old the oldest is. Probes in the queue do not count as items.
    """

    def items(self) -> list[Record]:
        """Return the waiting items without the probes, oldest first."""
        return [waiting for waiting in self._queue if isinstance(waiting, Record)]

    def oldest_age_s(self, now: float) -> float:
        """Return how many seconds ago the oldest waiting item was accepted, 0 if none waits; `now` is
        in Unix seconds.
        """
        return max((now - item.accepted_at for item in self.items()[:1]), default=0.0)

    async def put_probe(self, probe: Probe) -> None:
        """Add a probe, or drop it if the queue contains one already, so that probes do not pile up while the
        broadcaster is stuck.

        Waits while the queue is full.
        """
        if not any(isinstance(waiting, Probe) for waiting in self._queue):
            await self.put(probe)

    # Overridden to declare the type of `_queue`. The source of asyncio.Queue marks _init, _put and _get as overridable.
    def _init(self, maxsize: int) -> None:  # noqa: ARG002
        self._queue: deque[Record | Probe] = deque()


class WebSocketBroadcaster:
    """Takes items from `websocket_queue` in log order, matches them against all filters at once, and sends them.

    Most connections that match the same items of a batch are sent the same bytes.
    """

    def __init__(
        self, log: NewsLog, websocket_queue: BroadcastQueue, delivery: LiveDelivery, clock: Clock, stats: Stats
    ) -> None:
        self._news_log = log
        self._queue = websocket_queue
        self._delivery = delivery
        self._live = delivery.live
        self._clock = clock
        self._stats = stats
        self._last_tick_at = clock.monotonic()

    def idle_s(self) -> float:
        """Return the seconds since `run` last began a round of its loop.

        While the queue is empty a round takes `_IDLE_TICK_S`. A much longer time means that `run` is stuck.
        """
        return self._clock.monotonic() - self._last_tick_at

    async def follow(self) -> None:
        """Put every item after the live position into the queue as soon as it is durable, until cancelled.

        Waits while the queue is full.
        """
        async for records in self._news_log.follow(self._live.position):
            for record in records:
                await self._queue.put(record)

    async def run(self) -> None:
        """Broadcast what is in the queue, until cancelled."""
        while True:
            self._last_tick_at = self._clock.monotonic()
            self._stats.broadcast.record_tick(self._clock.wall())
            try:
                async with asyncio.timeout(_IDLE_TICK_S):
                    first = await self._queue.get()
            except TimeoutError:
                continue
            # Outside of `try`: a TimeoutError of the delivery itself must not be taken for an idle tick.
            self._take_batch(first)
            # Pause so that the event loop can write the bytes that the kernel did not take. Without this pause they
            # would pile up during a burst of items, and healthy clients would look slow.
            await asyncio.sleep(0)

    async def wait_until_caught_up(self) -> None:
        """Return once every item in the log has been broadcast."""
        while self._live.position < self._news_log.head:
            await self._clock.sleep(_CAUGHT_UP_POLL_S)

    def broadcast(self, *records: Record) -> None:
        """Match items and send each, in order, to every connection with a matching slot. `records` must not be empty.

        An item that cannot be matched or encoded is logged and counted, and not broadcast: every live connection reads
        it from the log. The same is done with items that the log could not read, which are missing in `records`.
        """
        now = self._clock.wall()
        for record in records:
            self._stats.broadcast.record_taken(max(now - record.accepted_at, 0.0), now)
        matched: list[Matched] = []
        for record in records:
            # A session that has to read the log must not match the items after it, so it leaves the index before these
            # are matched.
            if record.seq != self._live.position + len(matched) + 1:
                self._skip(matched, record.seq - 1)
            item = self._match_and_encode(record)
            if item is None:
                self._skip(matched, record.seq)
            else:
                matched.append(item)
        self._send(matched)

    def _skip(self, matched: list[Matched], seq: int) -> None:
        """Send the items that precede a failure and remove them from `matched`, then skip the items up to `seq`."""
        self._send(matched)
        matched.clear()
        self._delivery.skip_to(seq)

    def _take_batch(self, first: Record | Probe) -> None:
        """Broadcast `first` and what already waits in the queue, up to `_BATCH_ITEMS` items or about `_BATCH_BYTES` of
        JSON.

        A batch does not wait for more items to arrive. Items that precede a probe are broadcast before the probe.
        """
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
        """Match and encode a probe like an item, but pass its frame to `probe.send` only.

        An error is logged. The probe then does not arrive, which the canary reports.
        """
        try:
            self._live.index.match(probe.record.item)
            probe.send(frames.text_frame(_payload(probe.record)))
        except Exception:  # noqa: BLE001 - a probe that fails must not stop the items that follow
            _log.exception("probe_failed")

    def _match_and_encode(self, record: Record) -> Matched | None:
        """Match and encode an item, and return the result. If either step raises an exception, log and count it and
        return None.
        """
        started = self._clock.monotonic()
        try:
            match = self._match(record)
            matched_at = self._clock.monotonic()
            message = frames.EncodedMessage(_payload(record))
        except Exception:  # noqa: BLE001 - an item that fails must not stop those that follow
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
        self._delivery.deliver([item.outgoing for item in matched])
        self._report(matched, self._clock.monotonic() - started)

    def _report(self, matched: Sequence[Matched], write_s: float) -> None:
        """Log the broadcast items and record the times. An error is logged: it must not affect the delivery."""
        try:
            for item in matched:
                # The items were written together, so each is counted with an equal share of the time.
                share_s = write_s / len(matched)
                times = ((Stage.MATCH, item.match_s), (Stage.ENCODE, item.encode_s), (Stage.WRITE, share_s))
                self._stats.broadcast.record_stages(times)
                _log.info("item_broadcast", **_summary(item.outgoing.record, item.match, times))
        except Exception:  # noqa: BLE001
            _log.exception("broadcast_not_reported", sequence=matched[-1].outgoing.record.seq)


def _payload(record: Record) -> bytes:
    return frames.news_item(record.seq, record.accepted_at, record.item_json)


def _summary(record: Record, match: Match, stages: Iterable[tuple[Stage, float]]) -> dict[str, object]:
    """Return the fields of an item's log line: its ids, the number of matching slots, rejections by step, and
    milliseconds by stage.

    Steps and stages have the names of the metric labels.
    """
    rejected = {step.value: count for step in STEPS if (count := getattr(match, step.value))}
    times = {f"{stage}_ms": round(seconds * 1000, 3) for stage, seconds in stages}
    trace = {"trace_id": record.trace_id} if record.trace_id else {}
    names = {"item_id": record.item.id, "sequence": record.seq, "recipients": len(match.recipients)}
    return {**names, "rejected_by": rejected, **times, **trace}
