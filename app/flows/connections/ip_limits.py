"""How much one address may have. This file owns connections at once of one, and new ones a second of one and of all.

Who asks is counted before anything is looked up for him. An address that is "" is not counted: the adapter gives that
for callers who may have as much as they want.
"""

import random
from collections import Counter

from app.core.errors import ClientError, ErrorCode
from app.core.limits import KeyedRateLimiter, Limits
from app.ports.clock import Clock
from app.telemetry.labels import RateScope
from app.telemetry.stats import Stats

_RETRY_S = 5.0
# Those who are turned away together must not come back together.
_CROWD_RETRY_S = (1.0, 10.0)


class TooManyFromIp(ClientError):
    """An address has all the connections that it may have."""


class IpLimiter:
    """The addresses that connections come from."""

    def __init__(self, limits: Limits, clock: Clock, stats: Stats) -> None:
        self._most = limits.connections_per_address
        self._meter = KeyedRateLimiter(limits.connects_per_address_s, limits.connect_burst)
        self._crowd = KeyedRateLimiter(limits.server_connects_s, limits.server_connect_burst)
        self._clock = clock
        self._stats = stats
        self._connections: Counter[str] = Counter()

    def check_rate(self, address: str) -> None:
        """Meter one try to connect. Raises Theirs(RATE_LIMITED)."""
        if not address:
            return
        now = self._clock.monotonic()
        if wait_s := self._meter.acquire(address, now):
            self._stats.rate_limited[RateScope.CONNECT] += 1
            raise ClientError(ErrorCode.RATE_LIMITED, "This address connects too often", retry_after_s=wait_s)
        if self._crowd.acquire("", now):
            self._stats.rate_limited[RateScope.SERVER_CONNECT] += 1
            retry_after_s = random.uniform(*_CROWD_RETRY_S)  # noqa: S311 - jitter, not a secret
            raise ClientError(ErrorCode.RATE_LIMITED, "Too many connect at once", retry_after_s=retry_after_s)

    def acquire(self, address: str) -> None:
        """Count a connection. Raises TooManyFromAddress."""
        if not address:
            return
        if self._connections[address] >= self._most:
            detail = f"This address has {self._most} connections already"
            raise TooManyFromIp(ErrorCode.TOO_MANY_CONNECTIONS, detail, retry_after_s=_RETRY_S)
        self._connections[address] += 1

    def release(self, address: str) -> None:
        """Count a connection that is over."""
        if not address:
            return
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]
