"""One HTTP connection. This file owns how long it is kept, and that a head in drips is given up.

A head is a packet or two: it is whole soon after its first byte, or never meant to be.
"""

import asyncio

from aiohttp import web

from app.adapters.http.application import AccessLog
from app.core.limits import Limits
from app.telemetry.stats import Stats

_KEEPALIVE_S = 10.0
# How long a body is read and thrown away after the answer, so that its sender comes to read that.
_LINGERING_S = 0.5


class ServerProtocol(web.RequestHandler):
    """aiohttp's own, but for its patience.

    Leans on `_waiter`, which tests/http/test_handover.py names: it waits while there is no request to answer.
    """

    __slots__ = ("_limits", "_patience", "_stats")

    def __init__(self, server: web.Server, limits: Limits, stats: Stats, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=_KEEPALIVE_S,
            lingering_time=_LINGERING_S,
            access_log_class=AccessLog,
        )
        self._limits = limits
        self._stats = stats
        self._patience: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_waiting = self._waiter is not None and not self._waiter.done()
        if not is_waiting:
            self._be_patient()
        elif self._patience is None:
            self._patience = self._loop.call_later(self._limits.request_patience_s, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._be_patient()
        super().connection_lost(exc)

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        self._stats.requests_given_up += 1
        self.force_close()
