"""The server's own client: how often it sends a probe, how long a probe may take, and what its loss means.

A probe takes the way of every item from the queue on: it waits, is matched, encoded and written to a real socket, and a
real client reads it. But it is in no log, has no seq, reaches only the canary, and is counted as no item, no decision
and no send. The canary's connection is not admitted and has no slot.
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
    """The part of a news_item message that tells one probe from another."""

    data: "_ProbeItem"


class _ProbeItem(msgspec.Struct):
    id: str


class Canary:
    """Sends probes to itself. `send` writes a frame to the canary's own connection."""

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
        """Connect and send probes, until cancelled."""
        while True:
            try:
                async with connect() as receiver:
                    await self._send_probes(receiver)
            # The edge between the server and its own client: what goes wrong there is what the canary is for.
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
                    pass  # An earlier probe that was given up arrived after all.
        except TimeoutError:
            self._record_failure(ProbeResult.TIMEOUT, timeout_s=self._limits.timeout_s)
        else:
            self._is_failing = False
            self._stats.server.record_probe(self._clock.monotonic() - started, self._clock.wall())

    def _record_failure(self, result: ProbeResult, **details: object) -> None:
        """Count a probe that failed. Only the first of several in a row is logged."""
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
