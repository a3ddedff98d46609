"""One HTTP connection: how long it is kept, and the time limit for the head of a request.

A head is a packet or two: it is complete soon after its first byte, or it is not meant to be.
"""

import asyncio

from aiohttp import web

from app.adapters.http.aiohttp_internals import is_waiting_for_request
from app.adapters.http.application import AccessLog
from app.core.limits import RequestLimits
from app.telemetry.stats import Stats

_KEEPALIVE_S = 10.0
# How long a body is read and discarded after the answer, so that its sender comes to read the answer.
_LINGERING_S = 0.5


class ServerProtocol(web.RequestHandler):
    """aiohttp's request handler, with a time limit for heads."""

    __slots__ = ("_head_timeout", "_limits", "_stats")

    def __init__(
        self, server: web.Server, limits: RequestLimits, stats: Stats, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=_KEEPALIVE_S,
            lingering_time=_LINGERING_S,
            access_log_class=AccessLog,
        )
        self._limits = limits
        self._stats = stats
        self._head_timeout: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not is_waiting_for_request(self):
            self._stop_timeout()
        elif self._head_timeout is None:
            self._head_timeout = self._loop.call_later(self._limits.head_timeout_s, self._time_out)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timeout()
        super().connection_lost(exc)

    def _stop_timeout(self) -> None:
        if self._head_timeout is not None:
            self._head_timeout.cancel()
            self._head_timeout = None

    def _time_out(self) -> None:
        self._head_timeout = None
        self._stats.server.record_slow_request()
        self.force_close()
