"""How the server stops. This file owns the order: nobody and nothing new, what was accepted goes out, all leave.

Connections end spread over some seconds, so that the clients do not come back all at once.
"""

import asyncio
import random

import structlog

from app.core.limits import Limits
from app.core.protocol import server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.broadcast import WebSocketBroadcaster
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Session
from app.flows.news.process import NewsProcessor
from app.ports.clock import Clock

_LEVEL_WITHIN_S = 5.0
_STRAGGLERS_S = 1.5
_CLOSES_PER_S = 1_000
_CLOSES_AT_ONCE = 50
# A server needs a moment to come back, and can welcome so many at a time.
_BACK_AFTER_S = 1.0
_RETURNS_PER_S = 500.0

_log = structlog.get_logger("drain")


class Shutdown:
    """Empties the server of items and connections."""

    def __init__(
        self,
        processor: NewsProcessor,
        broadcaster: WebSocketBroadcaster,
        connections: ConnectionManager,
        resumption: StartResolver,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._processor = processor
        self._broadcaster = broadcaster
        self._connections = connections
        self._resumption = resumption
        self._limits = limits
        self._clock = clock

    def begin(self) -> None:
        """Take no new client and no new item of a publisher; what waits in raw_news_queue is still processed."""
        _log.info("draining", connections=len(self._connections))
        self._connections.is_draining = True
        self._processor.close()

    async def flush(self) -> None:
        """Wait until what was accepted is in the log and was broadcast, for a while."""
        try:
            async with asyncio.timeout(_LEVEL_WITHIN_S):
                await self._processor.wait_until_empty()
                await self._broadcaster.wait_until_caught_up()
        except TimeoutError:
            _log.warning("drain_cut_short", waiting_items=self._processor.waiting)

    async def close_all(self) -> None:
        """End every connection with 1012 and wait until the last is gone; abort who does not go."""
        await self._close_all()
        until = self._clock.monotonic() + _STRAGGLERS_S
        while self._connections.all_sessions() and self._clock.monotonic() < until:
            await self._clock.sleep(0.02)
        for session in self._connections.all_sessions():
            if session.link is not None:
                session.link.abort()
        await asyncio.sleep(0)
        _log.info("drained")

    async def _close_all(self) -> None:
        sessions = self._connections.all_sessions()
        pause_s = min(self._limits.drain_s / max(len(sessions), 1), 1 / _CLOSES_PER_S) * _CLOSES_AT_ONCE
        for session in sessions:
            if session.is_v2:
                self._connections.send(session, self._reconnect_advice(session, len(sessions)))
        for number, session in enumerate(sessions, start=1):
            self._connections.disconnect(session, DisconnectReason.SHUTDOWN)
            if number % _CLOSES_AT_ONCE == 0:
                await self._clock.sleep(pause_s)

    def _reconnect_advice(self, session: Session, clients: int) -> server_messages.Reconnect:
        """Say when to come back, the wider spread the more clients there are, and where to resume."""
        spread_s = _BACK_AFTER_S + clients / _RETURNS_PER_S
        after_ms = int(random.uniform(_BACK_AFTER_S, spread_s) * 1000)  # noqa: S311 - jitter, not a secret
        position = self._resumption.position(self._connections.decided_seq(session))
        return server_messages.Reconnect("restart", after_ms, str(position))
