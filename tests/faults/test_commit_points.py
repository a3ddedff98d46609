"""One line of publishing fails at a time: what was acknowledged is stored, once, and nothing else is sent to anyone."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from app.adapters.data.vocabularies import load_vocabularies
from app.adapters.sources.html_text import to_text
from app.adapters.sqlite.opening import open_database
from app.adapters.sqlite.stores import sqlite_stores
from app.core.limits import Limits
from app.core.news.enrichment import Enricher
from app.core.news.item import parse_raw
from app.flows.news.process import NewsProcessor
from app.ports.stores import Stores
from app.telemetry.stats import Stats
from tests.faults.points import ERRORS, Injector, Point
from tests.faults.test_points import IS_LONG, first_and_last
from tests.support.clock import FakeClock
from tests.support.items import raw
from tests.support.time_limits import soon

PUBLISHING = (
    "app/adapters/sqlite/commit_batch.py",
    "app/adapters/sqlite/database.py",
    "app/adapters/sqlite/news_log.py",
    "app/core/news/enrichment.py",
    "app/flows/news/process.py",
)
SHORT_STEP = 5
LIMITS = Limits().with_values({"publishing.timeout_s": 0.5})
VOCABULARIES = load_vocabularies()

pytestmark = pytest.mark.time_limit(1_200 if IS_LONG else 120)


class Run:
    """Publishers of a server on a file, and a follower of its log."""

    def __init__(self, path: str, injector: Injector) -> None:
        self.path, self.injector = path, injector
        self.acknowledged: dict[str, int] = {}
        self.followed: list[tuple[int, str]] = []
        self.is_server_ended = False

    async def play(self) -> list[str]:
        """Publish with the fault, publish again after a restart, and return what is wrong."""
        with suppress(Exception):
            async with open_database(self.path, Stats()) as database:
                stores = await sqlite_stores(database)
                with self.injector.armed():
                    await self._publish_all(stores)
        async with open_database(self.path, Stats()) as database:
            stores = await sqlite_stores(database)
            await self._publish_all(stores)
            stored = {record.seq: record.item.id for record in await stores.log.read(0, 1_000)}
        return self._wrong(stored)

    async def _publish_all(self, stores: Stores) -> None:
        enricher, clock = Enricher(VOCABULARIES, to_text), FakeClock()
        processor = NewsProcessor(stores.log, asyncio.Queue(), enricher, LIMITS.publishing, clock, Stats())
        following = asyncio.create_task(self._follow(stores))
        ended = asyncio.create_task(stores.watch())
        publishing = asyncio.gather(*(self._publish(processor, first) for first in (1, 4, 7)))
        await publishing
        self.is_server_ended |= ended.done()
        await self._publish(processor, 1)
        for _ in range(20):
            await asyncio.sleep(0)
        for task in (following, ended):
            task.cancel()
        await asyncio.wait([following, ended])

    async def _publish(self, processor: NewsProcessor, first: int) -> None:
        raws = [parse_raw(raw(number), 1_000_000.0) for number in range(first, first + 3)]
        # Whatever the error is, the publisher is told that the items may not be stored.
        with suppress(Exception):
            for appended in await soon(processor.publish(raws), 30):
                self.acknowledged[appended.id] = appended.seq

    async def _follow(self, stores: Stores) -> None:
        async for records in stores.log.follow(len(self.followed)):
            self.followed += [(record.seq, record.item.id) for record in records]

    def _wrong(self, stored: dict[int, str]) -> list[str]:
        lost = {item: seq for item, seq in self.acknowledged.items() if stored.get(seq) != item}
        foreign = [(seq, item) for seq, item in self.followed if stored.get(seq) != item]
        faults = {
            f"acknowledged and not stored: {lost}": lost,
            f"sent and not stored: {foreign}": foreign,
            f"seqs {sorted(stored)}": sorted(stored) != list(range(1, len(stored) + 1)),
            "an item is stored twice": len(set(stored.values())) != len(stored),
            f"{len(stored)} of 9 stored in the end": len(stored) != 9,
        }
        return [what for what, is_wrong in faults.items() if is_wrong]


async def play(injector: Injector) -> list[str]:
    # Not tmp_path, which would keep thousands of databases.
    with tempfile.TemporaryDirectory() as folder:
        return await Run(str(Path(folder) / "news.db"), injector).play()


async def test_publishing_is_clean_without_a_fault() -> None:
    assert await play(Injector(PUBLISHING)) == []


async def test_no_failing_line_loses_what_was_acknowledged() -> None:
    undisturbed = Injector(PUBLISHING)
    await play(undisturbed)
    points = first_and_last(undisturbed.points)
    assert {point.path for point in points} == set(PUBLISHING)
    chosen = points if IS_LONG else points[::SHORT_STEP]

    wrong: list[tuple[Point, list[str]]] = []
    fired = 0
    for number, point in enumerate(chosen):
        injector = Injector(PUBLISHING, point, ERRORS[number % len(ERRORS)])
        faults = await play(injector)
        fired += injector.has_fired
        if faults:
            wrong.append((point, faults))

    assert wrong == []
    # The threads of SQLite may make a line run in another order than before.
    assert fired >= len(chosen) * 0.9
