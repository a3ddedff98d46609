"""How much one address may have. This file owns connections at once and new ones a second, by address.

Who asks is counted before anything is looked up for him. An address that is "" is not counted: the adapter gives that
for callers who may have as much as they want.
"""

from collections import Counter

from app.core.errors import Code, Theirs
from app.core.limits import Limits, Meter
from app.ports import Clock
from app.telemetry.labels import RateScope
from app.telemetry.stats import Stats

_RETRY_S = 5.0


class TooManyFromAddress(Theirs):
    """An address has all the connections that it may have."""


class Addresses:
    """The addresses that connections come from."""

    def __init__(self, limits: Limits, clock: Clock, stats: Stats) -> None:
        self._most = limits.connections_per_address
        self._meter = Meter(limits.connects_per_address_s, limits.connect_burst)
        self._clock = clock
        self._stats = stats
        self._connections: Counter[str] = Counter()

    def knock(self, address: str) -> None:
        """Meter one try to connect. Raises Theirs(RATE_LIMITED)."""
        wait_s = self._meter.wait_s(address, self._clock.monotonic()) if address else 0.0
        if wait_s:
            self._stats.rate_limited[RateScope.CONNECT] += 1
            raise Theirs(Code.RATE_LIMITED, "This address connects too often", retry_after_s=wait_s)

    def enter(self, address: str) -> None:
        """Count a connection. Raises TooManyFromAddress."""
        if not address:
            return
        if self._connections[address] >= self._most:
            detail = f"This address has {self._most} connections already"
            raise TooManyFromAddress(Code.TOO_MANY_CONNECTIONS, detail, retry_after_s=_RETRY_S)
        self._connections[address] += 1

    def leave(self, address: str) -> None:
        """Count a connection that is over."""
        if not address:
            return
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]
