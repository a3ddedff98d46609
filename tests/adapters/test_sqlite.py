"""What only the SQLite file does: durability, the original's data, refusing a corrupt file."""

import asyncio
import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import aiosqlite
import pytest

from app.adapters.sqlite import schema
from app.adapters.sqlite.cursor_store import SqliteCursorStore
from app.adapters.sqlite.database import Database
from app.adapters.sqlite.news_log import TAIL_ITEMS, open_log
from app.adapters.sqlite.opening import CannotOpen, open_database
from app.adapters.sqlite.stores import sqlite_stores
from app.adapters.sqlite.subscription_store import SqliteSubscriptionStore
from app.core.delivery.positions import Position
from app.core.errors import CorruptStateError, ErrorCode, ServerError
from app.core.filters.filter import Filter, Subscription
from app.ports.stores import CorruptSubscriptionError, Cursor
from app.telemetry.labels import Fault, Operation
from app.telemetry.stats import Stats
from tests.support.items import entry

ORIGINAL = """
    CREATE TABLE user_subscriptions (
        user_id TEXT PRIMARY KEY, nitter_accounts TEXT, rss_feeds TEXT, categories TEXT, keywords TEXT,
        impact_threshold INTEGER DEFAULT 70, alert_channels TEXT, created_at REAL, updated_at REAL
    );
    CREATE TABLE news_items (id TEXT PRIMARY KEY, title TEXT);
    INSERT INTO news_items VALUES ('rss_1', 'kept');
    INSERT INTO user_subscriptions VALUES
        ('alice', '["@elonmusk"]', '["wsj"]', '["Crypto"]', '["btc"]', 55, '["terminal"]', 1.5, 2.5),
        ('nulls', NULL, NULL, NULL, '', 70, NULL, NULL, NULL),
        ('none', '[]', '[]', '[]', '[]', NULL, '[]', 1, 1),
        ('long', '[]', '[]', '["tech"]', '["x", ""]', 70, '[]', 1, 1);
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "news.db")


async def test_log_continues_after_restart(path: str) -> None:
    async with open_database(path, Stats()) as database:
        log = await open_log(database)
        epoch = log.epoch
        await log.append([entry(1), entry(2)])

    async with open_database(path, Stats()) as database:
        log = await open_log(database)
        [again, fresh] = await log.append([entry(1), entry(3)])

    assert log.epoch == epoch
    assert (again.seq, again.is_duplicate, fresh.seq) == (1, True, 3)


async def test_write_ahead_log_shrinks_after_a_burst(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.sqlite.opening._MAX_IDLE_WAL_BYTES", 100_000)
    wal = Path(f"{path}-wal")
    async with open_database(path, Stats()) as database:
        log = await open_log(database)
        await log.append([entry(number, content="x" * 16_000) for number in range(300)])
        burst_bytes = wal.stat().st_size
        for number in range(300, 303):
            await log.append([entry(number)])

        assert burst_bytes > 1_000_000
        assert wal.stat().st_size <= 200_000


async def test_new_file_has_a_new_epoch(tmp_path: Path) -> None:
    epochs = set()
    for name in ("a.db", "b.db"):
        async with open_database(str(tmp_path / name), Stats()) as database:
            epochs.add((await open_log(database)).epoch)

    assert len(epochs) == 2


async def test_commits_are_durable(path: str) -> None:
    async with open_database(path, Stats()) as database:
        await (await open_log(database)).append([entry(1)])
        for pragma, wanted in (("synchronous", 2), ("journal_mode", "wal")):
            async with database._writer.execute(f"PRAGMA {pragma}") as rows:
                assert [row[0] for row in await rows.fetchall()] == [wanted]

        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM news_log").fetchone() == (1,)


async def test_waiting_appends_share_a_commit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = 0
    commit = database._writer.commit

    async def counted() -> None:
        nonlocal commits
        commits += 1
        await commit()

    monkeypatch.setattr(database._writer, "commit", counted)
    log = await open_log(database)

    async with asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(log.append([entry(number)]))

    assert log.head == 200
    assert commits <= 3


async def test_publishers_are_answered_before_fanout(database: Database) -> None:
    log = await open_log(database)
    happened: list[str] = []

    async def publish(number: int) -> None:
        await log.append([entry(number)])
        happened.append("answered")

    async def send_out() -> None:
        async for records in log.follow(0):
            happened.extend("out" for _ in records)

    sending = asyncio.create_task(send_out())
    await asyncio.sleep(0)
    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(publish(number))
    while happened.count("out") < 3:
        await asyncio.sleep(0)
    sending.cancel()

    assert happened == ["answered"] * 3 + ["out"] * 3


async def test_append_is_stored_although_its_caller_left(database: Database) -> None:
    log = await open_log(database)
    gone = asyncio.create_task(log.append([entry(1)]))
    staying = asyncio.create_task(log.append([entry(2)]))
    await asyncio.sleep(0)
    gone.cancel()

    [appended] = await staying

    assert (appended.seq, log.head) == (2, 2)
    assert gone.cancelled()


async def test_memory_and_disk_reads_are_equal(database: Database) -> None:
    log = await open_log(database)
    for start in range(0, TAIL_ITEMS + 200, 100):
        await log.append([entry(number) for number in range(start, start + 100)])

    from_disk = await log.read(50, 100)
    across = await log.read(log.head - TAIL_ITEMS - 5, 10)
    from_memory = await log.read(log.head - 10, 100)

    assert [record.seq for record in from_disk] == list(range(51, 151))
    assert len(across) == 10
    assert [record.seq for record in from_memory] == list(range(log.head - 9, log.head + 1))
    reopened = await open_log(database)
    assert await reopened.read(log.head - 10, 100) == from_memory


async def test_failed_append_stores_nothing_and_next_succeeds(database: Database) -> None:
    log = await open_log(database)
    await database._writer.execute("CREATE TRIGGER no BEFORE INSERT ON news_log BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(ServerError) as caught:
        await log.append([entry(1), entry(2)])
    await database._writer.execute("DROP TRIGGER no")

    [result] = await log.append([entry(2)])

    assert caught.value.code is ErrorCode.INTERNAL
    assert (result.seq, log.head) == (1, 1)


async def test_full_disk_is_reported_and_heals(database: Database) -> None:
    log = await open_log(database)
    [(pages,)] = await database.read(Operation.READ_HISTORY, "PRAGMA page_count")
    await database._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ServerError) as caught:
        await log.append([entry(number, content="x" * 10_000) for number in range(50)])
    assert caught.value.code is ErrorCode.STORAGE_FULL
    assert not database.is_writable()
    with pytest.raises(ServerError, match="disk is full"):
        await log.append([entry(1)])

    await database._writer.execute("PRAGMA max_page_count = 1000000")
    await database.heal()

    assert database.is_writable()
    assert [result.seq for result in await log.append([entry(1)])] == [1]


async def test_full_disk_allows_pruning_and_acks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    log = await open_log(database)
    await log.append([entry(number) for number in range(10)])
    database._space.is_full = True

    assert await log.prune(0.0, keep_items=4, limit=100) == 6
    await SqliteCursorStore(database).save([Cursor("u", "", Position(log.epoch, 3), 1.0)])
    with pytest.raises(ServerError) as caught:
        await SqliteSubscriptionStore(database).save(Subscription("u", "default", Filter(), (), 1.0, 1.0))

    assert caught.value.code is ErrorCode.STORAGE_FULL
    monkeypatch.setattr("app.adapters.sqlite.disk_space.MARGIN_BYTES", 1 << 60)
    await database.heal()
    assert not database.is_writable()


async def test_free_pages_are_returned_to_a_full_disk(database: Database, path: str) -> None:
    log = await open_log(database)
    for start in range(0, 1_000, 100):
        await log.append([entry(number, content="x" * 4_000) for number in range(start, start + 100)])
    await database._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (await asyncio.to_thread(database.file_sizes))["main"]
    database._space.is_full = True
    await log.prune(0.0, keep_items=10, limit=5_000)

    await database.heal()

    after = await asyncio.to_thread(database.file_sizes)
    assert after["main"] < before / 4
    assert after["wal"] == 0


async def test_failed_fsync_stops_acknowledging(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    log = await open_log(database)
    await log.append([entry(1)])

    async def fail(_script: str) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    with monkeypatch.context() as failing:
        failing.setattr(database._writer, "executescript", fail)
        with pytest.raises(ServerError, match="restarted"):
            await log.append([entry(2)])
    with pytest.raises(ServerError, match="restarted"):
        await log.append([entry(3)])
    await database.heal()

    assert not database.is_writable()
    assert log.head == 1
    assert [record.seq for record in await log.read(0, 10)] == [1]


async def test_disk_without_space_for_ballast_stores_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as without_room:
        without_room.setattr(Path, "write_bytes", full)
        async with open_database(path, Stats()) as database:
            assert not database.is_writable()
            without_room.undo()
            await database.heal()
            assert database.is_writable()


async def test_ballast_of_killed_server_lets_next_one_start(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ballast = Path(f"{path}.ballast")
    await asyncio.to_thread(ballast.write_bytes, b"reserve")

    async def full_until_given_up(connection: aiosqlite.Connection) -> None:
        if await asyncio.to_thread(ballast.exists):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        await schema.migrate(connection)

    monkeypatch.setattr("app.adapters.sqlite.opening._prepare", full_until_given_up)
    async with open_database(path, Stats()) as database:
        assert (await open_log(database)).head == 0


async def test_cancelled_caller_does_not_affect_others(database: Database) -> None:
    log = await open_log(database)
    impatient = asyncio.create_task(log.append([entry(1)]))
    patient = asyncio.create_task(log.append([entry(2)]))
    await asyncio.sleep(0)

    impatient.cancel()

    assert [result.seq for result in await patient] == [2]
    assert log.head == 2


async def test_locked_database_recovers(path: str) -> None:
    async with open_database(path, Stats()) as database:
        log = await open_log(database)
        await database._writer.execute("PRAGMA busy_timeout = 10")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ServerError) as caught:
                await log.append([entry(1)])
            other.execute("ROLLBACK")

        [result] = await log.append([entry(2)])

    assert caught.value.code is ErrorCode.OVERLOADED
    assert caught.value.retry_after_s
    assert database.stats.server.db_faults[Operation.APPEND_HISTORY, Fault.BUSY] == 1
    assert result.seq == 1


async def test_failing_job_affects_only_its_caller(database: Database) -> None:
    async def broken(_connection: aiosqlite.Connection) -> None:
        raise KeyError("a bug")

    with pytest.raises(ServerError) as caught:
        await database.write(Operation.SAVE_SUBSCRIPTION, broken)

    assert caught.value.code is ErrorCode.INTERNAL
    assert (await (await open_log(database)).append([entry(1)]))[0].seq == 1


async def test_row_with_text_times_can_be_replaced(database: Database) -> None:
    store = SqliteSubscriptionStore(database)
    await store.save(Subscription("u", "default", Filter(), (), 1.0, 1.0))
    await database._writer.execute("UPDATE user_subscriptions SET created_at = 'yesterday', updated_at = 'x'")

    saved = await store.save(Subscription("u", "default", Filter(impact_threshold=5), (), 7.0, 7.0))

    assert (saved.created_at, saved.filter.impact_threshold) == (7.0, 5)
    assert await store.load("u", "default") is not None


async def test_second_server_on_same_file_is_refused(path: str) -> None:
    async with open_database(path, Stats()):
        with pytest.raises(CannotOpen, match="another server"):
            async with open_database(path, Stats()):
                pass


@pytest.mark.parametrize("name", ["nowhere/news.db", "."])
async def test_path_that_is_not_a_file_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotOpen, match="NEWS_DATABASE"):
        async with open_database(str(tmp_path / name), Stats()):
            pass


async def test_corrupt_log_is_refused(path: str) -> None:
    async with open_database(path, Stats()) as database:
        await database._writer.execute("DROP TABLE news_log")
        with pytest.raises(CorruptStateError, match="cannot be read"):
            await open_log(database)


async def test_slow_searches_are_interrupted_and_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.sqlite.database._SEARCH_S", 0.2)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

    async with asyncio.TaskGroup() as tasks:
        searches = [tasks.create_task(refused(database, endless)) for _ in range(9)]
        quick = await database.read(Operation.READ_HISTORY, "SELECT 1")

    assert [search.result() for search in searches] == [ErrorCode.OVERLOADED] * 9
    assert quick == [(1,)]
    assert await database.search(Operation.QUERY_HISTORY, "SELECT normalise('ÉRIC')") == [("éric",)]


async def refused(database: Database, sql: str) -> ErrorCode:
    with pytest.raises(ServerError) as caught:
        await database.search(Operation.QUERY_HISTORY, sql)
    return caught.value.code


async def test_original_rows_are_read(path: str) -> None:
    with closing(sqlite3.connect(path)) as original:
        original.executescript(ORIGINAL)

    async with open_database(path, Stats()) as database:
        store = SqliteSubscriptionStore(database)
        alice = await store.load("alice", "default")
        nulls = await store.load("nulls", "default")
        none = await store.load("none", "default")
        long = await store.load("long", "default")
        await store.save(Subscription("alice", "default", Filter(tickers=("BTC",)), ("terminal",), 9.0, 9.0))

    assert alice is not None
    assert (alice.filter.nitter_accounts, alice.filter.categories, alice.created_at) == (
        ("@elonmusk",),
        ("crypto",),
        1.5,
    )
    assert alice.filter.impact_threshold == 55
    assert nulls is not None
    assert nulls.filter == Filter()
    assert none is not None
    assert none.filter.impact_threshold == 70
    assert long is not None
    assert long.filter.keywords == ("x", "")
    with closing(sqlite3.connect(path)) as original:
        row = original.execute("SELECT * FROM user_subscriptions WHERE user_id = 'alice'").fetchone()
        assert row == ("alice", "[]", "[]", "[]", "[]", 70, '["terminal"]', 1.5, 9.0)
        assert original.execute("SELECT title FROM news_items").fetchone() == ("kept",)


@pytest.mark.parametrize(
    ("column", "value"),
    [("keywords", "not json"), ("categories", '{"a":1}'), ("rss_feeds", "[1]"), ("impact_threshold", "high")],
)
async def test_unreadable_row_is_reported_as_corrupt(database: Database, column: str, value: str) -> None:
    store = SqliteSubscriptionStore(database)
    await store.save(Subscription("u", "default", Filter(), (), 1.0, 1.0))
    await database._writer.execute(f"UPDATE user_subscriptions SET {column} = ?", (value,))

    with pytest.raises(CorruptSubscriptionError):
        await store.load("u", "default")


async def test_unreadable_channel_is_reported_as_corrupt(database: Database) -> None:
    store = SqliteSubscriptionStore(database)
    await store.save(Subscription("u", "btc", Filter(), (), 1.0, 1.0))
    await database._writer.execute("UPDATE subscription_channels SET filter = '[]'")

    with pytest.raises(CorruptSubscriptionError):
        await store.load("u", "btc")


async def test_non_database_file_is_refused(path: str) -> None:
    Path(path).write_bytes(b"this is not a database" * 100)

    with pytest.raises(CorruptStateError, match="cannot be used"):
        async with open_database(path, Stats()):
            pass


async def test_future_schema_is_refused(path: str) -> None:
    async with aiosqlite.connect(path) as connection:
        await connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")

    with pytest.raises(CorruptStateError, match="supports up to"):
        async with open_database(path, Stats()):
            pass


async def test_hanging_change_shows_in_the_health(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.sqlite.database._STALLED_S", 0.02)
    stores = await sqlite_stores(database)
    released = asyncio.Event()
    change = asyncio.ensure_future(database.write(Operation.SAVE_CURSOR, lambda _: released.wait()))
    assert stores.is_writable()
    await asyncio.sleep(0.05)

    assert stores.stalled_s() > 0.02
    assert not stores.is_writable()
    released.set()
    await change
    await database.write(Operation.SAVE_CURSOR, lambda connection: connection.execute_fetchall("SELECT 1"))
    assert stores.stalled_s() == 0.0
    assert stores.is_writable()
