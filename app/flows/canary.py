"""A client of ourselves. This file owns the probe: how often one is sent, how long it may take, what its loss means.

A probe goes the way of every item from the queue on: it waits, is matched, framed and written to a real socket, and a
real client reads it. But it is in no log, has no seq, reaches nobody but the canary, and counts as no item, no decision
and no send; the canary's connection has no seat, no slot and no place among the users' connections. So in a quiet night
the probes say that news would arrive.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count

import msgspec
import structlog

from app.core import wire
from app.core.closing import Ending
from app.core.limits import Limits
from app.core.news import NewsItem, Source
from app.flows.broadcast import BroadcastQueue, Probe
from app.flows.session import Session
from app.ports import Clock, Ear, Link, Record
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
    """Sends probes to itself for ever. It is also the conversation at the server's end of its connection."""

    def __init__(self, websocket_queue: BroadcastQueue, limits: Limits, clock: Clock, stats: Stats) -> None:
        self._queue = websocket_queue
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._perch: Link | None = None
        self._ids = (f"canary_{number}" for number in count(1))

    def new_session(self) -> Session:
        """Give a session without a seat, for the server's end of the canary's connection."""
        return Session("canary", "canary", self._clock.monotonic(), self._limits.message_burst)

    async def run(self, connect: Callable[[], AbstractAsyncContextManager[Ear]]) -> None:
        """Connect and probe for ever; `connect` raises OSError where it cannot, and so does a lost ear."""
        while True:
            try:
                async with connect() as ear:
                    await self._probe_for_ever(ear)
            except OSError as error:
                self._stats.probes[ProbeResult.ERROR] += 1
                _log.warning("canary_lost", error=str(error))
            await self._clock.sleep(self._limits.probe_every_s)

    def on_open(self, session: Session, link: Link) -> None:
        session.link = self._perch = link

    def on_closed(self, session: Session, ending: Ending) -> None:
        session.ending = ending
        if session.link is self._perch:
            self._perch = None

    def on_ping(self, session: Session, payload: bytes) -> None:
        if session.link is not None:
            session.link.write(wire.pong_frame(payload))

    def on_misbehaviour(self, session: Session, ending: Ending) -> None:
        session.end(ending)

    def on_data(self, size: int) -> None:
        """Count nothing: these are no client's bytes."""

    def on_message(self, session: Session, text: str) -> None:
        """Ignore it: the canary only listens."""

    def on_pong(self, session: Session) -> None:
        """Ignore it: the probes show whether the connection lives."""

    async def _probe_for_ever(self, ear: Ear) -> None:
        while True:
            await self._probe(ear, next(self._ids))
            await self._clock.sleep(self._limits.probe_every_s)

    async def _probe(self, ear: Ear, name: str) -> None:
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._limits.probe_timeout_s):
                await self._queue.put(Probe(self._record(name), self._sing))
                while _name_of(await ear.hear()) != name:
                    pass  # One that was given up has arrived after all.
        except TimeoutError:
            self._stats.probes[ProbeResult.TIMEOUT] += 1
            _log.warning("canary_probe_lost", timeout_s=self._limits.probe_timeout_s)
        else:
            self._stats.probe_arrived(self._clock.monotonic() - began, self._clock.wall())

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

    def _sing(self, frame: bytes) -> None:
        if self._perch is not None:
            self._perch.write(frame)


def _name_of(message: bytes) -> str:
    return msgspec.json.decode(message, type=_Heard).data.id
