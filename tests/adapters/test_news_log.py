"""One suite for every NewsLog."""

import asyncio

import msgspec
import pytest

from app.core.news.item import Category, Source
from app.ports.log import NewsLog, NewsQuery, Record
from tests.support.items import entry


async def fill(log: NewsLog, count: int) -> None:
    await log.append([entry(number) for number in range(1, count + 1)])


async def take(log: NewsLog, after: int, count: int) -> list[Record]:
    taken: list[Record] = []
    async for records in log.follow(after):
        taken += records
        if len(taken) >= count:
            break
    return taken


async def test_empty_log_has_no_head(log: NewsLog) -> None:
    assert (log.head, log.oldest) == (0, 1)
    assert await log.read(0, 10) == []
    assert await log.by_id("none") is None
    assert (await log.totals(0)).items == 0


async def test_seqs_count_from_one_without_gaps(log: NewsLog) -> None:
    first = await log.append([entry(1), entry(2)])
    second = await log.append([entry(3)])

    assert [result.seq for result in (*first, *second)] == [1, 2, 3]
    assert log.head == 3


async def test_read_returns_what_was_appended(log: NewsLog) -> None:
    appended = entry(1, accepted_at=123.5, tickers=("BTC",), title="Ünïcode 利下げ \u2028")

    await log.append([appended])
    [record] = await log.read(0, 10)

    assert record.item == appended.item
    assert record.accepted_at == 123.5
    assert msgspec.json.decode(record.item_json, type=type(appended.item)) == appended.item
    assert await log.by_id(appended.item.id) == record


async def test_same_url_or_id_is_a_duplicate(log: NewsLog) -> None:
    await fill(log, 2)
    same_link = entry(2, id="rss_other")
    same_id = entry(9)._replace(item=entry(1).item)

    results = await log.append([same_link, same_id, entry(3)])

    assert [(result.seq, result.is_duplicate) for result in results] == [(2, True), (1, True), (3, False)]
    assert results[0].id == entry(2).item.id
    assert log.head == 3


async def test_duplicate_within_one_append_is_found(log: NewsLog) -> None:
    results = await log.append([entry(1), entry(1)])

    assert [(result.seq, result.is_duplicate) for result in results] == [(1, False), (1, True)]


async def test_concurrent_appends_get_their_own_results(log: NewsLog) -> None:
    async with asyncio.TaskGroup() as tasks:
        appends = [tasks.create_task(log.append([entry(number), entry(number + 100)])) for number in range(50)]

    results = [append.result() for append in appends]

    assert sorted(result.seq for pair in results for result in pair) == list(range(1, 101))
    for number, pair in enumerate(results):
        assert [result.id for result in pair] == [entry(number).item.id, entry(number + 100).item.id]


async def test_read_returns_items_after_a_seq(log: NewsLog) -> None:
    await fill(log, 5)

    assert [record.seq for record in await log.read(2, 2)] == [3, 4]
    assert [record.seq for record in await log.read(4, 10)] == [5]
    assert await log.read(5, 10) == []


async def test_follow_yields_stored_and_then_new_items(log: NewsLog) -> None:
    await fill(log, 3)
    following = asyncio.create_task(take(log, after=1, count=4))
    await asyncio.sleep(0)

    await log.append([entry(4)])
    await log.append([entry(5)])

    assert [record.seq for record in await following] == [2, 3, 4, 5]


async def test_several_readers_can_follow(log: NewsLog) -> None:
    async with asyncio.TaskGroup() as tasks:
        followers = [tasks.create_task(take(log, after=0, count=10)) for _ in range(3)]
        for number in range(10):
            await log.append([entry(number)])

    assert [[record.seq for record in follower.result()] for follower in followers] == [list(range(1, 11))] * 3


@pytest.fixture
async def library(log: NewsLog) -> NewsLog:
    await log.append(
        [
            entry(1, published_at=30.0, category=Category.CRYPTO, impact_score=90.0, tickers=("BTC", "ETH")),
            entry(2, published_at=10.0, category=Category.SPORTS, impact_score=20.0, people=("Jerome Powell",)),
            entry(
                3,
                published_at=20.0,
                category=Category.CRYPTO,
                impact_score=50.0,
                source=Source.NITTER,
                tickers=("$SOL",),
                people=("Éric Zemmour",),
            ),
        ]
    )
    return log


QUERIES = [
    (NewsQuery(), [1, 3, 2]),
    (NewsQuery(limit=2), [1, 3]),
    (NewsQuery(limit=2, offset=2), [2]),
    (NewsQuery(category="crypto"), [1, 3]),
    (NewsQuery(min_impact=50.0), [1, 3]),
    (NewsQuery(source="nitter"), [3]),
    (NewsQuery(ticker="eth"), [1]),
    (NewsQuery(ticker="TH"), []),
    (NewsQuery(person="powell"), [2]),
    (NewsQuery(person="ÉRIC"), [3]),
    (NewsQuery(ticker="$BTC"), [1]),
    (NewsQuery(ticker="sol"), [3]),
    (NewsQuery(older_than=(30.0, 1)), [3, 2]),
    (NewsQuery(older_than=(20.0, 3)), [2]),
    (NewsQuery(start_time=20.0), [1, 3]),
    (NewsQuery(end_time=20.0), [3, 2]),
    (NewsQuery(after_seq=1), [3, 2]),
    (NewsQuery(before_seq=3), [2, 1]),
    (NewsQuery(category="crypto", min_impact=60.0), [1]),
    (NewsQuery(category="politics"), []),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
async def test_queries_return_newest_first(library: NewsLog, query: NewsQuery, expected: list[int]) -> None:
    selected = await library.select(query)

    assert [record.seq for record in selected] == expected
    assert await library.count(query._replace(limit=1, offset=0)) == len(
        await library.select(query._replace(limit=100, offset=0))
    )


async def test_totals_count_all_and_recent(library: NewsLog) -> None:
    totals = await library.totals(since=15.0)

    assert (totals.items, totals.items_since) == (3, 2)
    assert totals.average_impact == pytest.approx(160 / 3)


async def test_prune_by_age_keeps_recent_items(log: NewsLog) -> None:
    await log.append([entry(number, accepted_at=float(number)) for number in range(1, 11)])

    dropped = await log.prune(accepted_before=4.0, keep_items=1_000, limit=100)

    assert dropped == 3
    assert log.oldest == 4
    assert [record.seq for record in await log.read(0, 2)] == [4, 5]
    assert await log.count(NewsQuery()) == 7


async def test_prune_by_count_keeps_newest_items(log: NewsLog) -> None:
    await fill(log, 10)

    assert await log.prune(accepted_before=0.0, keep_items=4, limit=100) == 6
    assert log.oldest == 7


async def test_prune_is_stepwise_and_keeps_the_newest(log: NewsLog) -> None:
    await fill(log, 10)

    dropped = [await log.prune(accepted_before=9e9, keep_items=0, limit=4) for _ in range(4)]

    assert dropped == [4, 4, 1, 0]
    assert (log.oldest, log.head) == (10, 10)


async def test_backward_clock_leaves_no_hole(log: NewsLog) -> None:
    await log.append([entry(1, accepted_at=5.0), entry(2, accepted_at=50.0), entry(3, accepted_at=6.0), entry(4)])

    assert await log.prune(accepted_before=10.0, keep_items=1_000, limit=100) == 1
    assert [record.seq for record in await log.read(0, 10)] == [2, 3, 4]


async def test_pruned_url_can_be_published_again(log: NewsLog) -> None:
    await fill(log, 3)
    await log.prune(accepted_before=9e9, keep_items=0, limit=1)

    [again] = await log.append([entry(1)])

    assert (again.seq, again.is_duplicate) == (4, False)
