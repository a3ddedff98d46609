"""Check whether the server makes progress and accepts connections and items. The checks use only state in this process,
so they never wait for the database.
"""

from app.core.limits import BroadcastLimits
from app.flows.connections.admission import Admission
from app.flows.delivery.broadcast import WebSocketBroadcaster
from app.flows.delivery.live import LiveSet
from app.ports.clock import Clock
from app.ports.stores import Stores


class ReadinessChecks:
    """The checks behind /livez, /readyz and the gauge news_ready. /readyz also checks the database, which is not done
    here.
    """

    def __init__(
        self,
        stores: Stores,
        admission: Admission,
        live: LiveSet,
        broadcaster: WebSocketBroadcaster,
        limits: BroadcastLimits,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._admission = admission
        self._live = live
        self._broadcaster = broadcaster
        self._limits = limits
        self._clock = clock
        self._stalled_at = -1
        self._stalled_since = 0.0

    def is_alive(self) -> bool:
        """Return whether the broadcaster and the storage make progress. The broadcaster has stalled if, for
        `stall_timeout_s` seconds, its loop has begun no new round, or stored items have waited and none was broadcast.
        The storage has stalled if it has been making one change for so long. Then only a restart helps.
        """
        return max(self._stores.stalled_s(), self._broadcast_stalled_s()) < self._limits.stall_timeout_s

    def is_ready(self) -> bool:
        return all(self.checks().values())

    def checks(self) -> dict[str, bool]:
        """Return for each check, by name, whether it passes. The server accepts connections and items if all of them
        pass.
        """
        return {
            "broadcaster": self._broadcast_stalled_s() < self._limits.stall_timeout_s,
            "storage": self._stores.is_writable(),
            "not_draining": not self._admission.is_draining,
            "below_capacity": self._admission.has_capacity,
        }

    def _broadcast_stalled_s(self) -> float:
        """Return for how many seconds the broadcaster has made no progress."""
        return max(self._broadcaster.idle_s(), self._waiting_s())

    def _waiting_s(self) -> float:
        """Return for how many seconds stored items have waited while none was broadcast, or 0 if every stored item was
        broadcast. The time starts with the first call that found items waiting behind the same last broadcast item as
        now.
        """
        position, now = self._live.position, self._clock.monotonic()
        if position >= self._stores.log.head:
            self._stalled_at = -1
        elif position != self._stalled_at:
            self._stalled_at, self._stalled_since = position, now
        return now - self._stalled_since if self._stalled_at >= 0 else 0.0
