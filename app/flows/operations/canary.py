"""A client of ourselves. This file owns the probe: how often one is sent, how long it may take, what its loss means.

A probe goes the way of every item from the queue on: it waits, is matched, framed and written to a real socket, and a
real client reads it. But it is in no log, has no seq, reaches nobody but the canary, and counts as no item, no decision
and no send; the canary's connection has no seat, no slot and no place among the users' connections.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count

import msgspec
import structlog

from app.core.limits import Limits
from app.core.news.item import NewsItem, Source
from app.flows.delivery.broadcast import BroadcastQueue, Probe
from app.ports.clock import Clock
from app.ports.log import Record
from app.ports.transport import Receiver
from app.telemetry.labels import ProbeResult
from app.telemetry.stats import Stats

_NO_SEQ = 0

_log = structlog.get_logger("canary")


class _Heard(msgspec.Struct):
    """As much of a news_item message as tells one probe from another."""

    data: "_HeardItem"


class _HeardItem(msgspec.Struct):
    id: str


class Canary:
    """Sends probes to itself for ever. `send` writes a frame to the canary's own connection."""

    def __init__(
        self,
        websocket_queue: BroadcastQueue,
        send: Callable[[bytes], None],
        limits: Limits,
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
        """Connect and probe for ever."""
        while True:
            try:
                async with connect() as receiver:
                    await self._probe_for_ever(receiver)
            # The edge between our own client and the server: what goes wrong there is what the canary is for.
            except Exception as error:  # noqa: BLE001
                self._count(ProbeResult.ERROR, error=repr(error))
            await self._clock.sleep(self._limits.probe_every_s)

    async def _probe_for_ever(self, receiver: Receiver) -> None:
        while True:
            await self._probe(receiver, next(self._ids))
            await self._clock.sleep(self._limits.probe_every_s)

    async def _probe(self, receiver: Receiver, name: str) -> None:
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._limits.probe_timeout_s):
                await self._queue.put_probe(Probe(self._record(name), self._send))
                while _name_of(await receiver.receive()) != name:
                    pass  # One that was given up has arrived after all.
        except TimeoutError:
            self._count(ProbeResult.TIMEOUT, timeout_s=self._limits.probe_timeout_s)
        else:
            self._is_failing = False
            self._stats.probe_arrived(self._clock.monotonic() - began, self._clock.wall())

    def _count(self, result: ProbeResult, **details: object) -> None:
        """Count a probe that failed; only the first of several in a row is worth a line."""
        self._stats.probes[result] += 1
        if not self._is_failing:
            _log.warning("canary_failing", result=result.value, **details)
        self._is_failing = True

    def _record(self, name: str) -> Record:
        now = self._clock.wall()
        item = NewsItem(
            id=name,
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


def _name_of(message: bytes) -> str:
    return msgspec.json.decode(message, type=_Heard).data.id
