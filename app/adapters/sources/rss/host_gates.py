"""Spare the hosts of feeds: few requests at once, and few a second, however many feeds a host has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from app.core.limits import FeedLimits
from app.ports.clock import Clock


class _Gate:
    """The requests to one host: those that run, when the next may begin (monotonic seconds), and when its server lets
    requests in again.
    """

    def __init__(self, at_once: int) -> None:
        self.places = asyncio.Semaphore(at_once)
        self.next_at = 0.0
        self.closed_until = 0.0


class HostGates:
    """Gates by host, with its port, as it is written in the URL of a feed."""

    def __init__(self, limits: FeedLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._gates: dict[str, _Gate] = {}

    @asynccontextmanager
    async def passing(self, url: str) -> AsyncIterator[None]:
        """Wait until a request to the host of a URL may begin; it ends with the context."""
        gate = self._gate(url)
        async with gate.places:
            now = self._clock.monotonic()
            begins_at = max(now, gate.next_at, gate.closed_until)
            gate.next_at = begins_at + 1 / self._limits.fetches_per_s_per_host
            while begins_at > now:
                await self._clock.sleep(begins_at - now)
                # The server may have asked for a pause meanwhile.
                now, begins_at = self._clock.monotonic(), gate.closed_until
            yield

    def close(self, url: str, seconds: float) -> None:
        """Let no request to the host of a URL begin for some seconds, because its server asked for that."""
        gate = self._gate(url)
        gate.closed_until = max(gate.closed_until, self._clock.monotonic() + seconds)

    def _gate(self, url: str) -> _Gate:
        host = urlsplit(url).netloc.lower()
        if host not in self._gates:
            self._gates[host] = _Gate(self._limits.max_fetches_per_host)
        return self._gates[host]
