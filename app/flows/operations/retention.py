"""What the log forgets: old items are dropped in small steps, so that nothing waits long behind a step."""

import structlog

from app.core.errors import ServerError
from app.flows.delivery.live import LiveSet
from app.ports.clock import Clock
from app.ports.stores import Stores

STEP_ITEMS = 5_000
STEP_INTERVAL_S = 60.0
# A device that did not connect for this long starts again without a cursor.
CURSORS_KEPT_S = 30 * 86_400.0

_log = structlog.get_logger("retention")


class Retention:
    """Prunes the log to an age and a number of items, and the cursors of devices that no longer connect."""

    def __init__(self, stores: Stores, live: LiveSet, clock: Clock, keep_s: float, keep_items: int) -> None:
        self._news_log = stores.log
        self._cursors = stores.cursors
        self._live = live
        self._clock = clock
        self._keep_s = keep_s
        self._keep_items = keep_items

    async def run(self) -> None:
        """Prune one step a minute, until cancelled."""
        while True:
            await self._clock.sleep(STEP_INTERVAL_S)
            await self.prune()

    async def prune(self) -> int:
        """Drop one step of what is too old or too much. A jump of the clock drops no more than one step."""
        now = self._clock.wall()
        # Items that were not broadcast yet still have to go to live connections.
        broadcast_items = max(self._live.position - self._news_log.oldest + 1, 0)
        try:
            limit = min(STEP_ITEMS, broadcast_items)
            dropped = await self._news_log.prune(now - self._keep_s, self._keep_items, limit)
            await self._cursors.prune(now - max(CURSORS_KEPT_S, self._keep_s), STEP_ITEMS)
        except ServerError as error:
            _log.error("prune_failed", reason=error.code.value, detail=error.detail)
            return 0
        if dropped:
            _log.info("history_pruned", items=dropped, oldest_seq=self._news_log.oldest)
        return dropped
