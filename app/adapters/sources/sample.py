"""Play the bundled sample items, one every INTERVAL_S seconds, so that a new installation shows news
without any feed.
"""

import asyncio
import itertools
from collections.abc import Sequence

from app.core.news.item import RawNews, parse_raw
from app.flows.news.process import IncomingItem
from app.ports.clock import Clock
from app.telemetry.labels import Intake

INTERVAL_S = 1.5
SAMPLE_TAG = "sample"


class SampleWire:
    """A source that puts the sample items into raw_news_queue, with the current time as `published_at` and the tag
    `sample`.
    """

    def __init__(
        self,
        items: Sequence[dict[str, object]],
        raw_news_queue: asyncio.Queue[IncomingItem],
        clock: Clock,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._items = items
        self._queue = raw_news_queue
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Play the items again and again, until cancelled."""
        # The start time and the round number are part of every link. Otherwise an item that is played again would be a
        # duplicate.
        started_at = int(self._clock.wall())
        for round_number in itertools.count():
            for item in self._items:
                await self._queue.put(IncomingItem(self._stamp(item, f"{started_at}-{round_number}"), Intake.SAMPLE))
                await self._clock.sleep(self._interval_s)

    def _stamp(self, item: dict[str, object], edition: str) -> RawNews:
        url, _, fragment = str(item["url"]).partition("#")
        link = f"{url}?edition={edition}" + (f"#{fragment}" if fragment else "")
        now = self._clock.wall()
        return parse_raw({**item, "url": link, "published_at": now, "tags": [SAMPLE_TAG]}, now)
