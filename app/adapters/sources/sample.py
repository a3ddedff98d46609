"""The bundled sample wire. This file owns playing it: an item every little while, for ever, for users to see."""

import asyncio
import itertools
from collections.abc import Sequence

from app.core.news.item import RawNews, parse_raw
from app.flows.news.process import IncomingItem
from app.ports.clock import Clock
from app.telemetry.labels import Intake

EVERY_S = 1.5


class SampleWire:
    """Plays the bundled items into raw_news_queue, stamped with the present."""

    def __init__(
        self,
        items: Sequence[dict[str, object]],
        raw_news_queue: asyncio.Queue[IncomingItem],
        clock: Clock,
        every_s: float = EVERY_S,
    ) -> None:
        self._items = items
        self._queue = raw_news_queue
        self._clock = clock
        self._every_s = every_s

    async def run(self) -> None:
        """Play the wire over and over."""
        # The start of the program is part of every link, so that a restart plays new items and not duplicates.
        started_at = int(self._clock.wall())
        for turn in itertools.count():
            for item in self._items:
                await self._queue.put(IncomingItem(self._stamp(item, f"{started_at}-{turn}"), Intake.SAMPLE))
                await self._clock.sleep(self._every_s)

    def _stamp(self, item: dict[str, object], edition: str) -> RawNews:
        url, _, fragment = str(item["url"]).partition("#")
        link = f"{url}?edition={edition}" + (f"#{fragment}" if fragment else "")
        return parse_raw({**item, "url": link, "published_at": self._clock.wall()})
