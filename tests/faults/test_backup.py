"""Backups are made while the server runs, and a restored log is known as another one."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.items import raw
from tests.support.process import free_port, run_command, server_process
from tests.support.server import RunningServer
from tests.support.time_limits import within

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "news.db"


async def publish(server: RunningServer, *numbers: int) -> None:
    for number in numbers:
        async with server.http.post(f"{server.url}/api/v1/news", json=raw(number)) as answer:
            assert answer.status == 202


async def resume(server: RunningServer, position: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the welcome of a client that resumes, and what it is sent until it is live."""
    address = f"{server.url}/ws/news?user_id=u&v=2&resume={position}&filters=%7B%22impact_threshold%22:0%7D"
    async with server.http.ws_connect(address) as socket, within():
        welcome = await socket.receive_json()
        messages = [await socket.receive_json()]
        while messages[-1]["type"] not in ("live", "gap"):
            messages.append(await socket.receive_json())
    return welcome, messages


async def test_backup_while_publishing_is_complete(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with server_process("--database", str(path)) as process:
        await publish(process.server, *range(20))
        busy = asyncio.create_task(publish(process.server, *range(20, 60)))
        done = await run_command("backup", str(copy), "--database", str(path))
        await busy
        epoch = (await process.server.get("/api/v1/stats"))["epoch"]

    assert (done.code, done.err) == (0, "")
    with closing(sqlite3.connect(copy)) as connection:
        seqs = [seq for (seq,) in connection.execute("SELECT seq FROM news_log ORDER BY seq")]
        assert connection.execute("SELECT epoch FROM log_identity").fetchone() == (epoch,)
    assert len(seqs) >= 20
    assert seqs == list(range(1, len(seqs) + 1))
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_restored_log_has_a_new_epoch(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with server_process("--database", str(path)) as process:
        await publish(process.server, 1, 2)
        assert (await run_command("backup", str(copy), "--database", str(path))).code == 0
        await publish(process.server, 3)
        epoch = (await process.server.get("/api/v1/stats"))["epoch"]
        refused = await run_command("restore", str(copy), "--database", str(path))
        assert (refused.code, "stop it first" in refused.err) == (1, True)
        await process.end(signal.SIGKILL)

    done = await run_command("restore", str(copy), "--database", str(path))
    assert (done.code, done.err) == (0, "")
    assert "Revoke again" in done.out
    async with server_process("--database", str(path)) as process:
        await publish(process.server, 4)
        welcome, [gap, *_] = await resume(process.server, f"{epoch}:3")
        restored = (await process.server.get("/api/v1/stats"))["epoch"]

    assert (welcome["recovered"], welcome["reason"]) == (False, "epoch_changed")
    assert gap["type"] == "gap"
    assert f"new epoch {restored}" in done.out
    [aside] = [file for file in path.parent.glob("news.db.replaced-*") if not file.name.endswith(("-wal", "-shm"))]
    with closing(sqlite3.connect(aside)) as connection:
        assert connection.execute("SELECT count(*) FROM news_log").fetchone() == (3,)


async def test_killed_server_keeps_its_epoch(path: Path) -> None:
    port = str(free_port())
    positions = []
    for number in range(3):
        async with server_process("--database", str(path), "--port", port) as process:
            await publish(process.server, number)
            positions.append((await process.server.get("/api/v1/stats"))["epoch"])
            await process.end(signal.SIGKILL)

    async with server_process("--database", str(path), "--port", port) as process:
        welcome, messages = await resume(process.server, f"{positions[0]}:1")

    assert len(set(positions)) == 1
    assert welcome["recovered"] is True
    assert [message["seq"] for message in messages if message["type"] == "news_item"] == [2, 3]


async def test_unusable_files_are_refused_with_words(path: Path, tmp_path: Path) -> None:
    text, newer, missing = tmp_path / "text", tmp_path / "newer.db", tmp_path / "missing.db"
    text.write_text("no database" * 100)
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 99")
    async with server_process("--database", str(path)) as process:
        await publish(process.server, 1)
    before = path.read_bytes()
    at = ("--database", str(path))

    assert await said("restore", str(text), *at) == (3, "is not a database of polyfloat-news")
    assert await said("restore", str(newer), *at) == (3, "layout 99")
    assert await said("restore", str(missing), *at) == (1, "does not exist")
    assert await said("backup", str(text), *at) == (1, "exists already")
    assert await said("backup", str(tmp_path / "no" / "folder.db"), *at) == (1, "No such file or directory")
    assert await said("backup", str(tmp_path / "x.db"), "--database", str(missing)) == (1, "does not exist")
    assert await said("backup", str(tmp_path / "x.db"), "--database", ":memory:") == (2, "must be a file")
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.glob("*.new")) == []


async def said(*arguments: str) -> tuple[int, str]:
    """Run a command; return its code, and the part of its message that was expected for that code."""
    done = await run_command(*arguments)
    known = (
        *("is not a database of polyfloat-news", "layout 99", "does not exist", "exists already"),
        *("No such file or directory", "must be a file"),
    )
    return done.code, next((words for words in known if words in done.err), done.err)
