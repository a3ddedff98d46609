"""A database of every layout that there has been opens, with everything in it, and one of a newer layout does not.

`layouts/N.sql` is a database of layout N as the release that had it wrote it. It is never changed; a new layout gets a
new file, which is written before the layout is.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import aiosqlite
import pytest

from app.adapters.sqlite import schema
from app.adapters.sqlite.opening import open_database
from app.adapters.sqlite.stores import sqlite_stores
from app.core.delivery.positions import Position
from app.core.errors import CorruptStateError
from app.ports.stores import Cursor
from app.telemetry.stats import Stats
from tests.support.items import entry

LAYOUTS = Path(__file__).parent / "layouts"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "news.db"


def create(path: Path, layout: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((LAYOUTS / f"{layout}.sql").read_text())


def test_every_earlier_layout_is_kept() -> None:
    assert sorted(int(file.stem) for file in LAYOUTS.glob("*.sql")) == list(range(1, schema.VERSION))


@pytest.mark.parametrize("layout", range(1, schema.VERSION))
async def test_earlier_layout_opens_with_everything(path: Path, layout: int) -> None:
    create(path, layout)

    for _ in range(2):
        async with open_database(str(path), Stats()) as database:
            stores = await sqlite_stores(database)
            assert (stores.log.epoch, stores.log.oldest, stores.log.head) == ("feed5eed", 1, 3)
            titles = [record.item.title for record in await stores.log.read(0, 10)]
            assert titles == ["Story 1", "Story 2", "Story 3"]
            default, loud = [await stores.subscriptions.load("alice", name) for name in ("default", "loud")]
            assert default is not None
            assert (default.filter.keywords, default.filter.tickers, default.filter.impact_threshold) == (
                ("rate cut*",),
                ("BTC",),
                40,
            )
            assert loud is not None
            assert (loud.filter.impact_threshold, loud.created_at) == (90, 3.0)
            cursor = Cursor("alice", "desk", Position("feed5eed", 2), 5.0, sent=3 if layout >= 4 else None)
            assert await stores.cursors.load("alice", "desk") == (cursor if layout >= 2 else None)
            assert await stores.revocations.load() == ({"mallory": 7.0} if layout >= 3 else {})
    async with open_database(str(path), Stats()) as database:
        [appended] = await (await sqlite_stores(database)).log.append([entry(4)])
        assert appended.seq == 4


@pytest.mark.parametrize("layout", range(1, schema.VERSION))
async def test_interrupted_migration_changes_nothing(path: Path, layout: int, monkeypatch: pytest.MonkeyPatch) -> None:
    create(path, layout)
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    with monkeypatch.context() as failing:
        failing.setattr(schema, "_MIGRATIONS", (*schema._MIGRATIONS[:-1], ("CREATE TABLE half (x)", "no statement")))
        with pytest.raises(CorruptStateError):
            async with open_database(str(path), Stats()):
                pass
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before

    async with open_database(str(path), Stats()) as database:
        assert (await sqlite_stores(database)).log.head == 3


async def test_newer_layout_is_refused_unchanged(path: Path) -> None:
    create(path, schema.VERSION - 1)
    async with aiosqlite.connect(path) as connection:
        await connection.execute(f"PRAGMA user_version = {schema.VERSION + 7}")
    before = path.read_bytes()

    with pytest.raises(CorruptStateError, match=f"has layout {schema.VERSION + 7}, .* supports up to {schema.VERSION}"):
        async with open_database(str(path), Stats()):
            pass

    assert path.read_bytes()[100:] == before[100:]
