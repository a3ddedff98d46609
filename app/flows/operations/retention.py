"""What the log forgets. This file owns when old items are dropped: in small steps, so that nobody waits behind them."""

import structlog

from app.core.errors import ServerError
from app.flows.connections.manager import ConnectionManager
from app.ports.clock import Clock
from app.ports.stores import Stores

PASS_ITEMS = 5_000
PASS_EVERY_S = 60.0
# A device that was not here for so long begins anew.
CURSORS_KEPT_S = 30 * 86_400.0

_log = structlog.get_logger("retention")


class Retention:
    """Prunes the log to an age and a number of items, and cursors of devices that do not come any more."""

    def __init__(
        self, stores: Stores, connections: ConnectionManager, clock: Clock, keep_s: float, keep_items: int
    ) -> None:
        self._news_log = stores.log
        self._cursors = stores.cursors
        self._connections = connections
        self._clock = clock
        self._keep_s = keep_s
        self._keep_items = keep_items

    async def run(self) -> None:
        """Prune one step a minute, for ever."""
        while True:
            await self._clock.sleep(PASS_EVERY_S)
            await self.prune()

    async def prune(self) -> int:
        """Drop one step of what is too old or too much; a jump of the clock drops no more than a step."""
        now = self._clock.wall()
        # What was not broadcast yet must still go to those who are live.
        broadcast_items = max(self._connections.position - self._news_log.oldest + 1, 0)
        try:
            most = min(PASS_ITEMS, broadcast_items)
            dropped = await self._news_log.prune(now - self._keep_s, self._keep_items, most)
            await self._cursors.prune(now - max(CURSORS_KEPT_S, self._keep_s), PASS_ITEMS)
        except ServerError as error:
            _log.error("prune_failed", reason=error.code.value, detail=error.detail)
            return 0
        if dropped:
            _log.info("history_pruned", items=dropped, oldest_seq=self._news_log.oldest)
        return dropped
