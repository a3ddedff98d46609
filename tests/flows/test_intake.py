"""What becomes of the entries of feeds, from one fetch to the next, over restarts and after the retention."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from app.adapters.data.vocabularies import load_vocabularies
from app.adapters.memory.stores import memory_stores
from app.adapters.sources.html_text import to_text
from app.adapters.sources.rss.parsing import parse
from app.core.limits import Limits
from app.core.news.enrichment import Enricher
from app.core.news.entry_rules import AgeRules
from app.core.news.feed_entry import EntryOutcome
from app.core.news.item import NewsItem, parse_raw
from app.flows.news.intake import FeedIntake, FeedProfile, Taken
from app.flows.news.process import IncomingItem, NewsProcessor
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.feeds import rss
from tests.support.items import raw

TABLES = load_vocabularies()
NOW = 1_796_029_200.0
DAY = 86_400.0
ALL = AgeRules(0.0, 0.0)
GUARDED = AgeRules(DAY, 3_600.0)


class Desk:
    """A server's intake: its stores survive a restart."""

    def __init__(self) -> None:
        self.stores = memory_stores()
        self.clock = FakeClock(NOW)
        self._processing: asyncio.Task[None] | None = None
        self.restart()

    def restart(self) -> None:
        """Begin with the stores only."""
        self.stop()
        queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
        limits = Limits().publishing
        self.processor = NewsProcessor(self.stores.log, queue, Enricher(TABLES, to_text), limits, self.clock, Stats())
        self._processing = asyncio.create_task(self.processor.run())
        self._intake = FeedIntake(self.stores.log, self.stores.seen, queue, self.clock)

    def stop(self) -> None:
        if self._processing is not None:
            self._processing.cancel()

    async def take(
        self, *items: str, feed: str = "f", ages: AgeRules = ALL, title: str = "Wire"
    ) -> Counter[EntryOutcome]:
        """Take a document of a feed, and return what became of its entries."""
        document = parse(rss(*items).replace("Wire", title).encode(), "https://feeds.example/f")
        profile = FeedProfile(feed, "", ages, "https://feeds.example/f")
        taken: Taken = await self._intake.take(profile, document, await self.stores.seen.feed(feed))
        await self.stores.seen.save_feed(feed, taken.state)
        assert taken.outcomes.total() == len(items)
        return taken.outcomes

    async def published(self) -> list[NewsItem]:
        return [record.item for record in await self.stores.log.read(0, 1_000)]

    async def forget_items(self) -> None:
        """Let the retention of items pass."""
        await self.take("<title>newest</title>", feed="other")
        await self.stores.log.prune(NOW + 1e9, 0, 1_000)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    desk.stop()


def entry(number: int = 1, title: str = "", guid: str = "", link: str = "", date: str = "") -> str:
    parts = [f"<title>{title or f'Story {number}'}</title>", f"<link>{link or f'https://e.com/{number}'}</link>"]
    parts += [f'<guid isPermaLink="false">{guid}</guid>'] if guid else []
    return "".join([*parts, f"<pubDate>{date}</pubDate>" if date else ""])


async def test_entry_is_published_once(desk: Desk) -> None:
    assert await desk.take(entry(1), entry(2)) == {EntryOutcome.PUBLISHED: 2}
    assert await desk.take(entry(3), entry(2)) == {EntryOutcome.PUBLISHED: 1, EntryOutcome.REPEATED: 1}
    desk.restart()
    assert await desk.take(entry(3), entry(1)) == {EntryOutcome.REPEATED: 2}

    assert [item.title for item in await desk.published()] == ["Story 1", "Story 2", "Story 3"]


async def test_nothing_is_published_again_after_the_retention(desk: Desk) -> None:
    entries = [entry(number, guid=f"g{number}") for number in range(40)]
    await desk.take(*entries)
    await desk.forget_items()
    for restart in range(20):
        desk.restart()
        renamed = [entry(number, guid=f"g{number}-{restart}") for number in range(40)]
        assert await desk.take(*entries) == {EntryOutcome.REPEATED: 40}
        assert await desk.take(*renamed, feed=f"moved-{restart}") == {EntryOutcome.REPEATED: 40}


async def test_vanished_entry_comes_back_unpublished(desk: Desk) -> None:
    for _ in range(3):
        await desk.take(entry(1), entry(2))
        await desk.take(entry(1))

    assert len(await desk.published()) == 2


async def test_changed_entry_is_no_second_item(desk: Desk) -> None:
    await desk.take(entry(1, guid="g"))
    changed = entry(1, guid="g", title="CORRECTED: Story", link="https://e.com/corrected")

    assert await desk.take(changed) == {EntryOutcome.UPDATED: 1}
    assert await desk.take(changed) == {EntryOutcome.REPEATED: 1}
    assert len(await desk.published()) == 1


async def test_guids_that_change_are_distrusted(desk: Desk) -> None:
    for fetch in range(4):
        await desk.take(entry(1, guid=f"a{fetch}"), entry(2, guid=f"b{fetch}"))
    changed = await desk.take(entry(1, guid="a9", title="Another headline"), entry(2, guid="b9"))

    assert changed == {EntryOutcome.UPDATED: 1, EntryOutcome.REPEATED: 1}
    assert len(await desk.published()) == 2


async def test_guids_that_stay_are_trusted(desk: Desk) -> None:
    link = "https://e.com/"
    for number in range(5):
        await desk.take(entry(guid=f"g{number}", title=f"Headline {number}", link=link), entry(9, guid="stays"))

    assert len(await desk.published()) == 6


async def test_session_in_the_link_makes_no_items(desk: Desk) -> None:
    for fetch in range(4):
        await desk.take(entry(1, link=f"https://e.com/1?visitor={fetch}"))

    assert len(await desk.published()) == 1


async def test_one_document_shows_an_entry_twice(desk: Desk) -> None:
    assert await desk.take(entry(1), entry(1)) == {EntryOutcome.PUBLISHED: 1, EntryOutcome.REPEATED: 1}


async def test_first_look_publishes_recent_entries_only(desk: Desk) -> None:
    recent, old = "Mon, 30 Nov 2026 08:40:00 GMT", "Mon, 30 Nov 2026 07:59:00 GMT"
    first = await desk.take(entry(1, date=recent), entry(2, date=old), entry(3), ages=GUARDED)
    later = await desk.take(entry(4, date=old), entry(5), entry(3), ages=GUARDED)

    assert first == {EntryOutcome.PUBLISHED: 1, EntryOutcome.TOO_OLD: 1, EntryOutcome.UNDATED: 1}
    assert later == {EntryOutcome.PUBLISHED: 2, EntryOutcome.REPEATED: 1}
    assert [item.title for item in await desk.published()] == ["Story 1", "Story 4", "Story 5"]


async def test_estimated_date_is_marked_and_not_fresh(desk: Desk) -> None:
    await desk.take(entry(1, date="Mon, 30 Nov 2026 08:59:00 GMT"), entry(2), entry(3, date="01/02/2026 10:00"))
    marks = {item.title: item.published_at_estimated for item in await desk.published()}
    impacts = {item.title: item.impact_score for item in await desk.published()}

    assert marks["Story 2"] is marks["Story 3"] is True
    assert marks["Story 1"] is not True
    assert impacts["Story 2"] <= impacts["Story 1"]


async def test_items_of_earlier_releases_count_as_seen(desk: Desk) -> None:
    await desk.processor.publish([parse_raw(raw(url="https://e.com/1"), NOW)])
    new = entry(2, guid="g", link="https://e.com/1", date="Mon, 30 Nov 2026 09:30:00 GMT")

    assert await desk.take(entry(1), new) == {EntryOutcome.REPEATED: 1, EntryOutcome.PUBLISHED: 1}


async def test_post_of_nitter_is_the_authors(desk: Desk) -> None:
    status = "https://n{}.example/fed/status/19#m"
    post = "<title>RT by @desk: Rates rise</title><link>{}</link><description>Rates rise</description>"
    for instance in range(2):
        await desk.take(post.format(status.format(instance)), feed=f"n{instance}", title="Desk / @desk")
    [item] = await desk.published()

    assert (item.source, item.source_account, item.retweeted_by) == ("nitter", "@fed", "@desk")
    assert (item.title, item.tags) == ("Rates rise", ("retweet",))


async def test_plain_text_is_not_read_as_html(desk: Desk) -> None:
    await desk.take(entry(1, title="Why &amp;lt;div&amp;gt; is not &amp;lt;b&amp;gt; &#xfffd;"))
    [item] = await desk.published()

    assert item.title == "Why <div> is not <b> \ufffd"
    assert item.text_damaged is True


async def test_nothing_is_remembered_before_it_is_stored(desk: Desk) -> None:
    desk.stop()
    taking = asyncio.create_task(desk.take(entry(1)))
    for _ in range(20):
        await asyncio.sleep(0)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    desk.restart()

    assert await desk.take(entry(1)) == {EntryOutcome.PUBLISHED: 1}
