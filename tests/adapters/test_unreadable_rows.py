"""Rows of the log that cannot be decoded are skipped and counted, and clients are told."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.sqlite.news_log import SqliteNewsLog, open_log
from app.adapters.sqlite.opening import open_database
from app.adapters.sqlite.stores import sqlite_stores
from app.core.delivery.phases import Phase
from app.core.delivery.positions import Position
from app.core.errors import ServerError
from app.core.limits import Limits
from app.ports.log import NewsQuery
from app.telemetry.labels import Fault, Operation
from app.telemetry.stats import Stats
from tests.support.harness import Harness
from tests.support.items import entry
from tests.support.time_limits import within


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "news.db")


async def damaged(path: str, damages: dict[int, bytes], items: int = 6) -> None:
    """Store items, and replace the JSON of some of them by the bytes given for their seqs."""
    async with open_database(path, Stats()) as database:
        await (await open_log(database)).append([entry(number) for number in range(1, items + 1)])
    with closing(sqlite3.connect(path)) as connection, connection:
        for seq, value in damages.items():
            connection.execute("UPDATE news_log SET item = CAST(? AS TEXT) WHERE seq = ?", (value, seq))


def damage_page(path: str, seq: int) -> None:
    """Overwrite the page of the file that holds an item."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [[size]] = connection.execute("PRAGMA page_size")
        [[item_id]] = connection.execute("SELECT id FROM news_log WHERE seq = ?", (seq,))
    with Path(path).open("r+b") as file:
        content = file.read()
        # The JSON of the item is in a page of the table; indexes have the id without the quotes.
        page = content.index(b'{"id":"%b"' % item_id.encode()) // size
        file.seek(page * size)
        file.write(b"\xff" * size)


async def seqs(log: SqliteNewsLog, query: NewsQuery) -> list[int]:
    return [record.seq for record in await log.select(query)]


async def test_unreadable_rows_are_skipped_and_counted(path: str) -> None:
    await damaged(path, {2: b"{", 3: b'{"id":1}', 4: b'{"id":"\xff"}'})
    stats = Stats()
    async with open_database(path, stats) as database:
        log = await open_log(database)

        assert [record.seq for record in await log.read(0, 10)] == [1, 5, 6]
        assert [record.seq for record in await log.read(1, 2)] == [5]
        assert stats.server.log_rows_skipped == 6
        assert await log.by_id(entry(2).item.id) is None
        assert await seqs(log, NewsQuery(limit=3, after_seq=0)) == [6, 5, 1]
        assert await seqs(log, NewsQuery(limit=2, after_seq=0, offset=1)) == [5, 1]
        assert log.head == 6


async def test_resuming_client_is_told_of_each_unreadable_item(path: str) -> None:
    await damaged(path, {3: b"{", 6: b""})
    async with open_database(path, Stats()) as database:
        stores = await sqlite_stores(database)
        harness = Harness(Limits(), stores)
        session, link = await harness.arrive(resume=Position(stores.log.epoch, 0), is_v2=True)
        async with harness.reading(), within():
            while session.phase is not Phase.LIVE:
                harness.clock.move(0.1)
                await asyncio.sleep(0.001)

    gaps = [(gap["from_seq"], gap["to_seq"], gap["reason"]) for gap in link.messages if gap["type"] == "gap"]
    assert gaps == [(3, 3, "unreadable"), (6, 6, "unreadable")]
    assert link.seqs == [1, 2, 4, 5]
    assert harness.stats.recovery.gap_items == 2


@pytest.mark.parametrize("page_items", [4, 256])
async def test_damaged_page_is_a_gap(path: str, page_items: int) -> None:
    await damaged(path, {}, items=60)
    damage_page(path, 30)
    stats = Stats()
    async with open_database(path, stats) as database:
        stores = await sqlite_stores(database)
        harness = Harness(Limits().with_values({"replays.page_items": page_items}), stores)
        session, link = await harness.arrive(resume=Position(stores.log.epoch, 0), is_v2=True)
        async with harness.reading(), within():
            while session.phase is not Phase.LIVE:
                harness.clock.move(0.1)
                await asyncio.sleep(0.001)

    gaps = [range(gap["from_seq"], gap["to_seq"] + 1) for gap in link.messages if gap["type"] == "gap"]
    lost = [seq for gap in gaps for seq in gap]
    assert 30 in lost
    assert lost[-1] - lost[0] < 20
    assert sorted(link.seqs + lost) == list(range(1, 61))
    assert stats.server.log_rows_skipped >= len(lost)
    assert stats.server.db_faults[Operation.READ_HISTORY, Fault.CORRUPT] > 0


async def test_other_failures_skip_no_row(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await damaged(path, {})
    async with open_database(path, Stats()) as database:
        log = await open_log(database)

        async def fail(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(database._reader, "execute_fetchall", fail)
        with pytest.raises(ServerError):
            await log.read(0, 10)


async def test_follower_continues_after_unreadable_newest_rows(path: str) -> None:
    await damaged(path, {5: b"{", 6: b"{"})
    async with open_database(path, Stats()) as database:
        log = await open_log(database)
        following = log.follow(4)
        first = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0.05)
        await log.append([entry(7)])

        assert [record.seq for record in await first] == [7]
