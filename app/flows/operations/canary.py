"""The canary: the server's own WebSocket client, which sends probes and measures whether and how fast they arrive.

A probe is a made-up item that goes through websocket_queue like a real one: it is matched, encoded, written to a real
socket and read by a real client. But a probe is not in the log and has no seq, reaches only the canary, and is not
counted as an item, a decision or a send. The canary's connection is not admitted and has no slot, so it counts toward
no limit and is sent no real items.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count

import msgspec
import structlog

from app.core.limits import CanaryLimits
from app.core.news.item import NewsItem, Source
from app.flows.delivery.broadcast import BroadcastQueue, Probe
from app.ports.clock import Clock
from app.ports.log import Record
from app.ports.transport import Receiver
from app.telemetry.labels import ProbeResult
from app.telemetry.stats import Stats

_NO_SEQ = 0

_log = structlog.get_logger("canary")


class _ProbeMessage(msgspec.Struct):
    """The part of a `news_item` message that is decoded: `data.id` identifies the probe."""

    data: "_ProbeItem"


class _ProbeItem(msgspec.Struct):
    id: str


class Canary:
    """Puts probes into the broadcaster's queue and receives them on its own WebSocket connection. The argument `send`
    is the server's function that writes a frame to that connection.
    """

    def __init__(
        self,
        websocket_queue: BroadcastQueue,
        send: Callable[[bytes], None],
        limits: CanaryLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._queue = websocket_queue
        self._send = send
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._is_failing = False
        self._ids = (f"canary_{number}" for number in count(1))

    async def run(self, connect: Callable[[], AbstractAsyncContextManager[Receiver]]) -> None:
        """Connect and send probes, until cancelled. After an error, connect again `interval_s` later."""
        while True:
            try:
                async with connect() as receiver:
                    await self._send_probes(receiver)
            # The canary exists to detect failures of any kind. So every exception is counted as a failure, and the
            # canary connects again.
            except Exception as error:  # noqa: BLE001
                self._record_failure(ProbeResult.ERROR, error=repr(error))
            await self._clock.sleep(self._limits.interval_s)

    async def _send_probes(self, receiver: Receiver) -> None:
        while True:
            await self._probe(receiver, next(self._ids))
            await self._clock.sleep(self._limits.interval_s)

    async def _probe(self, receiver: Receiver, probe_id: str) -> None:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                await self._queue.put_probe(Probe(self._record(probe_id), self._send))
                while _id_of(await receiver.receive()) != probe_id:
                    pass  # A probe that was already counted as a timeout arrived late.
        except TimeoutError:
            self._record_failure(ProbeResult.TIMEOUT, timeout_s=self._limits.timeout_s)
        else:
            self._is_failing = False
            self._stats.server.record_probe(self._clock.monotonic() - started, self._clock.wall())

    def _record_failure(self, result: ProbeResult, **details: object) -> None:
        """Count a failed probe or connection. Of several failures in a row, only the first is logged."""
        self._stats.server.record_probe_failure(result)
        if not self._is_failing:
            _log.warning("canary_failing", result=result.value, **details)
        self._is_failing = True

    def _record(self, probe_id: str) -> Record:
        now = self._clock.wall()
        item = NewsItem(
            id=probe_id,
            source=Source.RSS,
            source_account="polyfloat-news",
            title="Canary",
            content="A probe of the server by itself",
            url="https://canary.invalid/",
            published_at=now,
            impact_score=100.0,
            relevance_score=0.0,
        )
        return Record(_NO_SEQ, now, item, msgspec.json.encode(item))


def _id_of(message: bytes) -> str:
    return msgspec.json.decode(message, type=_ProbeMessage).data.id
