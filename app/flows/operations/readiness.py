"""Whether the server does its work. This file owns the checks that need nothing from outside the process."""

from app.core.limits import Limits
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.broadcast import WebSocketBroadcaster
from app.ports.clock import Clock
from app.ports.stores import Stores


class ReadinessChecks:
    """Asked by /livez and /readyz and, at scrape, for news_ready."""

    def __init__(
        self,
        stores: Stores,
        connections: ConnectionManager,
        broadcaster: WebSocketBroadcaster,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._connections = connections
        self._broadcaster = broadcaster
        self._limits = limits
        self._clock = clock
        self._stuck_at = -1
        self._stuck_since = 0.0

    def is_alive(self) -> bool:
        """Say whether the broadcaster turns and what is stored goes out; where not, only a new start helps."""
        return max(self._broadcaster.idle_s(), self._stuck_s()) < self._limits.broadcaster_idle_s

    def is_ready(self) -> bool:
        return all(self.checks().values())

    def checks(self) -> dict[str, bool]:
        """Say of each check whether it allows new connections and items."""
        return {
            "broadcaster": self.is_alive(),
            "storage": self._stores.is_writable(),
            "not_draining": not self._connections.is_draining,
            "below_capacity": self._connections.has_capacity,
        }

    def _stuck_s(self) -> float:
        """Give since when the same item has been the next to go out, as far as somebody asked; 0 when none is due."""
        position, now = self._connections.position, self._clock.monotonic()
        if position >= self._stores.log.head:
            self._stuck_at = -1
        elif position != self._stuck_at:
            self._stuck_at, self._stuck_since = position, now
        return now - self._stuck_since if self._stuck_at >= 0 else 0.0
