"""From the log to the sockets. This file owns the follower that fills websocket_queue and who empties it.

The queue is bounded and its policy is back-pressure: when it is full the follower waits, and the log keeps what is to
come.
"""

import asyncio

import structlog

from app.core import wire
from app.flows.connections import ConnectionManager
from app.ports import Clock, NewsLog, Record
from app.telemetry.stats import Stats

_log = structlog.get_logger("broadcast")


class WebSocketBroadcaster:
    """Takes items in log order, decides who wants them, and hands one frame to all of those."""

    def __init__(
        self,
        log: NewsLog,
        websocket_queue: asyncio.Queue[Record],
        connections: ConnectionManager,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._news_log = log
        self._queue = websocket_queue
        self._connections = connections
        self._clock = clock
        self._stats = stats

    async def follow(self) -> None:
        """Move every item that becomes durable from now on into the queue, for ever."""
        async for records in self._news_log.follow(self._connections.position):
            for record in records:
                await self._queue.put(record)

    async def run(self) -> None:
        """Broadcast what is in the queue, for ever."""
        while True:
            record = await self._queue.get()
            self.broadcast(record)
            self._queue.task_done()
            # Transports write between two turns of the loop: without one here a burst would pile up in their buffers
            # and every client would look slow.
            await asyncio.sleep(0)

    async def wait_until_level(self) -> None:
        """Wait until everything in the log went out."""
        while self._connections.position < self._news_log.head:
            await self._clock.sleep(0.005)

    def broadcast(self, record: Record) -> None:
        """Send one item to every slot that wants it. An item that cannot be matched goes to nobody, and is counted."""
        try:
            match = self._connections.index.match(record.item)
        # Broken inside state must not stop the wire for the items behind; it is loud in log and metric.
        except Exception:  # noqa: BLE001
            _log.exception("match_failed", item_id=record.item.id, seq=record.seq)
            self._stats.item_undecided(len(self._connections.index))
            self._connections.level(record.seq)
            return
        self._stats.item_decided(match)
        frame = wire.text_frame(wire.news_item(record.seq, record.accepted_at, record.item_json))
        self._connections.deliver(frame, record.seq, match.recipients, record.accepted_at)
        _log.debug(
            "item_broadcast",
            item_id=record.item.id,
            seq=record.seq,
            recipients=len(match.recipients),
            impact=match.impact,
            category=match.category,
            source=match.source,
            keyword=match.keyword,
            error=match.error,
        )
