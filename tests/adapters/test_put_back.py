"""A database that was put back gets a new epoch; one that was only restarted keeps it."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.sqlite.mark import LogIdentity, Mark, was_put_back
from app.adapters.sqlite.news_log import open_log
from app.adapters.sqlite.opening import open_database
from app.telemetry.stats import Stats
from tests.support.items import entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "news.db"


async def run(path: Path, *numbers: int) -> str:
    """Start on a database, store items, stop, and return the epoch."""
    async with open_database(str(path), Stats()) as database:
        log = await open_log(database)
        await log.append([entry(number) for number in numbers])
        return log.epoch


def mark_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.mark")


def copy(source: Path, target: Path) -> None:
    shutil.copy(source, target)


def move(source: Path, target: Path) -> None:
    source.replace(target)


def synchronize(source: Path, target: Path) -> None:
    """Do what rsync does: the contents and the times, under another inode."""
    temporary = target.with_name(".news.db.Xy12")
    shutil.copy2(source, temporary)
    temporary.replace(target)


async def test_restarts_keep_the_epoch(path: Path) -> None:
    epochs = {await run(path, number) for number in (1, 2, 3)}

    assert len(epochs) == 1


@pytest.mark.parametrize("way", [copy, move, synchronize])
@pytest.mark.parametrize("runs_between", [0, 1, 2])
async def test_older_copy_gets_a_new_epoch(
    path: Path, tmp_path: Path, way: Callable[[Path, Path], None], runs_between: int
) -> None:
    old = tmp_path / "old.db"
    epoch = await run(path, 1, 2)
    shutil.copy(path, old)
    for number in range(runs_between):
        await run(path, 10 + number)
    async with open_database(str(path), Stats()) as database:
        await (await open_log(database)).append([entry(3)])

    way(old, path)

    assert await run(path, 4) != epoch


async def test_copy_of_last_run_gets_new_epoch(path: Path, tmp_path: Path) -> None:
    async with open_database(str(path), Stats()) as database:
        log = await open_log(database)
        await log.append([entry(1)])
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", tmp_path / f"old{suffix}")
        await log.append([entry(2)])
    for suffix in ("", "-wal"):
        (tmp_path / f"old{suffix}").replace(f"{path}{suffix}")

    assert await run(path) != log.epoch


async def test_volume_in_another_place_keeps_the_epoch(path: Path, tmp_path: Path) -> None:
    epoch = await run(path, 1)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(path.parent, elsewhere, ignore=lambda *_: ["elsewhere"])

    assert await run(elsewhere / "news.db", 2) == epoch


async def test_database_without_its_mark_gets_a_new_epoch(path: Path, tmp_path: Path) -> None:
    epoch = await run(path, 1)
    other = tmp_path / "other.db"
    path.replace(other)

    assert await run(other, 2) != epoch


@pytest.mark.parametrize("contents", [b"", b"rubbish", b"0" * 16 + b" " + b"9" * 20 + b"\n"])
async def test_unusable_mark_is_replaced(path: Path, contents: bytes) -> None:
    epoch = await run(path, 1)
    mark_of(path).write_bytes(contents)

    new = await run(path, 2)

    assert new != epoch
    assert await run(path, 3) == new


async def test_link_to_a_database_shares_its_mark(path: Path, tmp_path: Path) -> None:
    epoch = await run(path, 1)
    link = tmp_path / "link.db"
    link.symlink_to(path)

    assert await run(link, 2) == epoch
    assert await run(path, 3) == epoch


async def test_layout_before_marks_keeps_the_epoch(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "layouts" / "3.sql").read_text())

    assert await run(path, 7) == "feed5eed"


async def test_mark_that_cannot_be_written_is_reported(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_database(str(path), Stats()) as database:
        log = await open_log(database)
        mark_of(path).unlink()
        mark_of(path).mkdir()
        await log.append([entry(1)])
        await asyncio.to_thread(database.mark.save)
        mark_of(path).rmdir()

    assert "mark_not_saved" in capsys.readouterr().out
    assert mark_of(path).read_bytes().endswith(b" 00000000000000000001\n")


@given(head=st.integers(0, 9), marked=st.integers(0, 9), start=st.sampled_from("abc"), previous=st.sampled_from("abc"))
def test_mark_of_other_run_means_put_back(head: int, marked: int, start: str, previous: str) -> None:
    found = LogIdentity(start, previous, head)

    assert was_put_back(found, Mark("b", marked)) is (head < marked or "b" not in (start, previous))
    assert was_put_back(found, None)
    assert not was_put_back(LogIdentity(None, None, head), None)
    assert was_put_back(LogIdentity(None, None, head), Mark("b", 0))
