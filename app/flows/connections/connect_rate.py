"""Limits on the rate of attempts to connect, for each address and for all addresses together.

An attempt is metered before its token is verified and before anything is loaded for it. Attempts from the address ""
are not metered at all. Unless an operator set a limit for one address, the HTTP adapter passes "" for connections from
this machine (loopback), because most of these come from a proxy that serves many users.
"""

import random

from app.core.errors import ClientError, ErrorCode
from app.core.limits import ConnectionLimits
from app.core.rate_limiter import KeyedRateLimiter
from app.ports.clock import Clock
from app.telemetry.labels import RateScope
from app.telemetry.stats import Stats

# A client that is refused because there are too many attempts in total is advised a retry delay drawn at random from
# this range, in seconds. With equal delays, all such clients would retry at the same time.
_TOTAL_RETRY_S = (1.0, 10.0)


class ConnectRateLimiter:
    """Meters attempts to connect, with one token bucket for each address and one for the server."""

    def __init__(self, limits: ConnectionLimits, clock: Clock, stats: Stats) -> None:
        self._by_ip = KeyedRateLimiter(limits.connects_per_s_per_ip, limits.connect_burst_per_ip)
        self._total = KeyedRateLimiter(limits.connects_per_s, limits.connect_burst)
        self._clock = clock
        self._stats = stats

    def check(self, ip: str) -> None:
        """Meter one attempt from an address. Raises ClientError(RATE_LIMITED) if there are too many attempts from this
        address, or too many in total.
        """
        if not ip:
            return
        now = self._clock.monotonic()
        if wait_s := self._by_ip.acquire(ip, now):
            self._stats.connections.record_rate_limit(RateScope.CONNECT)
            raise ClientError(ErrorCode.RATE_LIMITED, "This address connects too often", retry_after_s=wait_s)
        if self._total.acquire("", now):
            self._stats.connections.record_rate_limit(RateScope.SERVER_CONNECT)
            retry_after_s = random.uniform(*_TOTAL_RETRY_S)  # noqa: S311 - jitter, not a secret
            raise ClientError(ErrorCode.RATE_LIMITED, "Too many clients connect at once", retry_after_s=retry_after_s)
