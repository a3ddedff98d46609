"""Delete old items, cursors and keys of seen entries in small steps, so that no other database operation waits long for
a step to end.
"""

import structlog

from app.core.errors import ServerError
from app.flows.delivery.live import LiveSet
from app.ports.clock import Clock
from app.ports.stores import Stores

STEP_ITEMS = 5_000
STEP_INTERVAL_S = 60.0
# A stored cursor is deleted when it has not been updated for this many seconds, or for as long as items are kept
# (`keep_s` seconds), if that is longer.
CURSORS_KEPT_S = 30 * 86_400.0
# An entry of a feed is forgotten when it has not been in its feed for this many seconds.
SEEN_KEPT_S = 30 * 86_400.0

_log = structlog.get_logger("retention")


class Retention:
    """Deletes items that are older than `keep_s` seconds or not among the newest `keep_items`. Also deletes cursors
    that were not updated for a long time, and what was not seen in feeds for a long time.
    """

    def __init__(self, stores: Stores, live: LiveSet, clock: Clock, keep_s: float, keep_items: int) -> None:
        self._news_log = stores.log
        self._cursors = stores.cursors
        self._seen = stores.seen
        self._live = live
        self._clock = clock
        self._keep_s = keep_s
        self._keep_items = keep_items

    async def run(self) -> None:
        """Call `prune` once a minute, until cancelled."""
        while True:
            await self._clock.sleep(STEP_INTERVAL_S)
            await self.prune()

    async def prune(self) -> int:
        """Delete up to STEP_ITEMS items that are too old or too many, then up to STEP_ITEMS old cursors and keys of
        entries. Return the number of deleted items, or 0 if the database fails.

        STEP_ITEMS keeps each step short. It also bounds the damage when the clock jumps forward: at most STEP_ITEMS
        items a minute are deleted.
        """
        now = self._clock.wall()
        # Items that were not broadcast yet must stay, because live connections have yet to get them.
        broadcast_items = max(self._live.position - self._news_log.oldest + 1, 0)
        try:
            limit = min(STEP_ITEMS, broadcast_items)
            dropped = await self._news_log.prune(now - self._keep_s, self._keep_items, limit)
            await self._cursors.prune(now - max(CURSORS_KEPT_S, self._keep_s), STEP_ITEMS)
            await self._seen.prune(now - SEEN_KEPT_S, STEP_ITEMS)
        except ServerError as error:
            _log.error("prune_failed", reason=error.code.value, detail=error.detail)
            return 0
        if dropped:
            _log.info("history_pruned", items=dropped, oldest_seq=self._news_log.oldest)
        return dropped
