"""Whether the server does its work. This file owns the checks that need nothing from outside the process."""

from app.core.limits import Limits
from app.flows.broadcast import WebSocketBroadcaster
from app.flows.connections import ConnectionManager


class Readiness:
    """Asked by /livez and /readyz and, at scrape, for news_ready."""

    def __init__(self, connections: ConnectionManager, broadcaster: WebSocketBroadcaster, limits: Limits) -> None:
        self._connections = connections
        self._broadcaster = broadcaster
        self._limits = limits

    def is_alive(self) -> bool:
        """Say whether the broadcaster turns; where it does not, only a new start helps."""
        return self._broadcaster.idle_s() < self._limits.broadcaster_idle_s

    def is_ready(self) -> bool:
        return all(self.checks().values())

    def checks(self) -> dict[str, bool]:
        """Say of each check whether it allows new connections and items."""
        return {
            "broadcaster": self.is_alive(),
            "not_draining": not self._connections.is_draining,
            "below_capacity": self._connections.has_place,
        }
