"""Stop the server: refuse new clients and items, broadcast what was accepted, then close all connections.

The closing of the connections is spread over up to `max_close_s` seconds, so that the clients do not all reconnect at
once.
"""

import asyncio
import random

import structlog

from app.core.limits import ShutdownLimits
from app.core.protocol import server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.admission import Admission
from app.flows.delivery.broadcast import WebSocketBroadcaster
from app.flows.delivery.live import LiveSet
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Session
from app.flows.news.process import NewsProcessor
from app.ports.clock import Clock

_FLUSH_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 1.5
_CLOSE_POLL_S = 0.02
_CLOSES_PER_S = 1_000
_CLOSES_AT_ONCE = 50
# Clients are advised how long to wait before they reconnect. The delays assume that a restart takes `_RESTART_S`
# seconds and that the server then accepts `_RETURNS_PER_S` clients a second.
_RESTART_S = 1.0
_RETURNS_PER_S = 500.0

_log = structlog.get_logger("shutdown")


class Shutdown:
    """The steps of a shutdown, to be called in this order: `begin`, `flush`, `close_all`."""

    def __init__(
        self,
        processor: NewsProcessor,
        broadcaster: WebSocketBroadcaster,
        admission: Admission,
        live: LiveSet,
        resolver: StartResolver,
        limits: ShutdownLimits,
        clock: Clock,
    ) -> None:
        self._processor = processor
        self._broadcaster = broadcaster
        self._admission = admission
        self._live = live
        self._resolver = resolver
        self._limits = limits
        self._clock = clock

    def begin(self) -> None:
        """Refuse new clients, and new items of publishers, from now on. Items that wait in raw_news_queue are still
        processed.
        """
        _log.info("draining", connections=len(self._admission.all_sessions()))
        self._admission.is_draining = True
        self._processor.close()

    async def flush(self) -> None:
        """Wait until every accepted item is in the log and was broadcast, for at most 5 s. A timeout is logged and not
        raised.
        """
        try:
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await self._processor.wait_until_empty()
                await self._broadcaster.wait_until_caught_up()
        except TimeoutError:
            _log.warning("drain_cut_short", waiting_items=self._processor.waiting)

    async def close_all(self) -> None:
        """Close every admitted connection with 1012, and abort those that are still open 1.5 s after the last close
        frame.
        """
        await self._disconnect_all()
        until = self._clock.monotonic() + _CLOSE_TIMEOUT_S
        while self._admission.all_sessions() and self._clock.monotonic() < until:
            await self._clock.sleep(_CLOSE_POLL_S)
        for session in self._admission.all_sessions():
            if session.link is not None:
                session.link.abort()
        await asyncio.sleep(0)
        _log.info("drained")

    async def _disconnect_all(self) -> None:
        sessions = self._admission.all_sessions()
        pause_s = min(self._limits.max_close_s / max(len(sessions), 1), 1 / _CLOSES_PER_S) * _CLOSES_AT_ONCE
        for session in sessions:
            if session.options.is_v2:
                self._live.send(session, self._reconnect_advice(session, len(sessions)))
        for number, session in enumerate(sessions, start=1):
            self._live.disconnect(session, DisconnectReason.SHUTDOWN)
            if number % _CLOSES_AT_ONCE == 0:
                await self._clock.sleep(pause_s)

    def _reconnect_advice(self, session: Session, clients: int) -> server_messages.Reconnect:
        """Return a `reconnect` message with the position to resume at and a random delay. The range of delays grows
        with the number of clients.
        """
        spread_s = _RESTART_S + clients / _RETURNS_PER_S
        after_ms = int(random.uniform(_RESTART_S, spread_s) * 1000)  # noqa: S311 - jitter, not a secret
        position = self._resolver.position(self._live.decided_seq(session))
        return server_messages.Reconnect("restart", after_ms, str(position))
