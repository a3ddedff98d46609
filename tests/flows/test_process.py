"""NewsProcessor over a log in memory."""

import asyncio
from typing import NamedTuple

import msgspec
import pytest

from app.adapters.data.vocabularies import load_vocabularies
from app.adapters.memory.news_log import MemoryNewsLog
from app.adapters.sources.html_text import to_text
from app.core.errors import ErrorCode, ServerError
from app.core.limits import Limits
from app.core.news.enrichment import Enricher
from app.core.news.item import RawNews, parse_raw
from app.flows.news.process import IncomingItem, NewsProcessor
from app.ports.log import Appended, Entry
from app.telemetry.labels import Intake, Rejection
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.items import raw
from tests.support.time_limits import soon

TABLES = load_vocabularies()


class Desk(NamedTuple):
    log: MemoryNewsLog
    queue: asyncio.Queue[IncomingItem]
    processor: NewsProcessor
    clock: FakeClock
    stats: Stats


class FullLog(MemoryNewsLog):
    """A log whose disk is full until a test frees it."""

    is_full = True

    async def append(self, entries: list[Entry]) -> list[Appended]:  # type: ignore[override]
        if self.is_full:
            raise ServerError(ErrorCode.STORAGE_FULL, retry_after_s=30)
        return await super().append(entries)


def desk(log: MemoryNewsLog | None = None, limits: Limits = Limits()) -> Desk:  # noqa: B008 - frozen
    log = log or MemoryNewsLog()
    queue: asyncio.Queue[IncomingItem] = asyncio.Queue(limits.publishing.max_pending_items)
    clock, stats = FakeClock(), Stats()
    return Desk(
        log, queue, NewsProcessor(log, queue, Enricher(TABLES, to_text), limits.publishing, clock, stats), clock, stats
    )


def news(number: int, **changes: object) -> RawNews:
    return parse_raw(raw(number, **changes), now=2e9)


class StuckLog(MemoryNewsLog):
    """A log whose disk never answers."""

    async def append(self, entries: list[Entry]) -> list[Appended]:  # type: ignore[override]
        await asyncio.Event().wait()
        raise AssertionError


async def test_publishing_has_a_deadline() -> None:
    one = desk(StuckLog(), Limits().with_values({"publishing.timeout_s": 0.05}))

    with pytest.raises(ServerError, match="send them again") as refused:
        await soon(one.processor.publish([news(1), news(2)]))

    assert (refused.value.code, refused.value.spec.status) == (ErrorCode.OVERLOADED, 503)
    assert refused.value.retry_after_s is not None
    assert one.stats.intake.rejected == {Rejection.STORAGE: 2}
    await soon(one.processor.wait_until_empty())


async def test_feeds_and_publishers_share_one_log() -> None:
    one = desk()
    working = asyncio.create_task(one.processor.run())
    for number in range(3):
        await one.queue.put(IncomingItem(news(number), Intake.RSS))

    await one.processor.publish([news(10)])
    await one.queue.join()
    working.cancel()

    assert one.log.head == 4
    assert one.stats.intake.accepted == {Intake.RSS: 3, Intake.API: 1}


async def test_duplicates_are_counted_separately() -> None:
    one = desk()

    await one.processor.publish([news(1), news(1), news(2)])

    assert one.stats.intake.accepted[Intake.API] == 2
    assert one.stats.intake.rejected[Rejection.DUPLICATE] == 1


async def test_stories_from_before_the_start_are_known() -> None:
    words = "A long enough story about the federal reserve and what it did to rates on Tuesday"
    before = desk()
    await before.processor.publish([news(1, content=words)])
    after = desk()

    after.processor.remember(await before.log.read(0, 10))
    await after.processor.publish([news(2, title="Story 1", content=words)])
    [record] = await after.log.read(0, 10)

    assert record.item.is_duplicate
    assert record.item.duplicate_of == (await before.log.read(0, 1))[0].item.id


async def test_full_intake_refuses_and_stores_nothing() -> None:
    one = desk(limits=Limits().with_values({"publishing.max_pending_items": 2}))

    with pytest.raises(ServerError) as caught:
        await one.processor.publish([news(1), news(2), news(3)])

    assert caught.value.code is ErrorCode.OVERLOADED
    assert one.log.head == 0
    assert one.stats.intake.rejected[Rejection.QUEUE_FULL] == 3


async def test_feeds_wait_while_the_disk_is_full() -> None:
    log = FullLog()
    one = desk(log)
    working = asyncio.create_task(one.processor.run())
    await one.queue.put(IncomingItem(news(1), Intake.RSS))
    while not one.stats.intake.rejected[Rejection.STORAGE]:
        await asyncio.sleep(0)
    with pytest.raises(ServerError):
        await one.processor.publish([news(2)])

    log.is_full = False
    one.clock.move(31)
    await one.queue.join()
    working.cancel()

    assert log.head == 1


async def test_closed_intake_refuses_publishers_and_finishes_queue() -> None:
    one = desk()
    await one.queue.put(IncomingItem(news(1), Intake.RSS))

    one.processor.close()
    with pytest.raises(ServerError) as caught:
        await one.processor.publish([news(2)])
    working = asyncio.create_task(one.processor.run())
    await one.queue.join()
    working.cancel()

    assert caught.value.code is ErrorCode.DRAINING
    assert one.log.head == 1


async def test_title_is_cut_from_content_at_a_word() -> None:
    one = desk()

    await one.processor.publish([news(1, title="", content="word " * 100)])
    [record] = await one.log.read(0, 1)

    assert record.item.title == ("word " * 24).strip() + "…"
    assert len(record.item.content) == 499


async def test_content_without_text_falls_back_to_url() -> None:
    one = desk()

    await one.processor.publish([news(1, title="", content="<img src=x>")])
    [record] = await one.log.read(0, 1)

    assert record.item.content == record.item.title == record.item.url


async def test_unstored_item_is_not_an_original() -> None:
    one = desk()
    words = "A long enough story about the federal reserve and what it did to rates on Tuesday"
    await one.processor.publish([news(1, content=words)])
    await one.processor.publish(
        [news(1, id="ghost", content="Quite another story about oil, tankers and the price of both")]
    )

    await one.processor.publish(
        [news(2, title="Story 1", content="Quite another story about oil, tankers and the price of both")]
    )
    [_, last] = await one.log.read(0, 10)

    assert last.item.duplicate_of is None


async def test_broken_feed_item_is_dropped_alone() -> None:
    one = desk()
    bad = msgspec.structs.replace(news(1), url="https://[")
    for each in (bad, news(2)):
        await one.queue.put(IncomingItem(each, Intake.RSS))
    working = asyncio.create_task(one.processor.run())

    await one.queue.join()
    working.cancel()

    assert one.log.head == 1
    assert one.stats.intake.rejected[Rejection.INVALID] == 1


async def test_tags_of_publishers_are_kept() -> None:
    one = desk()
    await one.processor.publish([news(1, title="Bitcoin ETF approved", tags=["own"])])
    [record] = await one.log.read(0, 1)

    assert record.item.tags == ("own",)
