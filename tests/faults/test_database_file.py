"""The database file disappears under a running server, or a second server opens it by another name."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.items import raw
from tests.support.process import run_command, server_process
from tests.support.server import RunningServer
from tests.support.time_limits import within

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]


def remove(path: Path) -> None:
    for file in path.parent.glob("news.db*"):
        file.unlink()


def remove_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def replace(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def truncate(path: Path) -> None:
    os.truncate(path, 0)


async def publish(server: RunningServer, number: int) -> tuple[int, str]:
    async with server.http.post(f"{server.url}/api/v1/news", json=raw(number)) as answer:
        document = await answer.json(content_type=None)
        return answer.status, document.get("detail", "")


@pytest.mark.parametrize("damage", [remove, remove_log, replace, truncate])
async def test_nothing_is_acknowledged_into_a_lost_file(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "news.db"
    async with server_process("--database", str(path)) as process:
        server = process.server
        for number in range(3):
            assert (await publish(server, number))[0] == 202

        damage(path)

        status, detail = await publish(server, 10)
        assert status == 503
        assert "until the server is restarted" in detail or damage is truncate
        async with within():
            while (await publish(server, 11))[0] != 503 or not await is_unready(server):
                await asyncio.sleep(0.05)
        # Whatever does not need the file goes on.
        assert (await server.get("/api/v1/limits"))["limits"]
        assert await server.metric("news_connections") == 0


async def test_idle_server_notices_a_lost_file(tmp_path: Path) -> None:
    path = tmp_path / "news.db"
    async with server_process("--database", str(path)) as process:
        assert (await publish(process.server, 1))[0] == 202
        assert not await is_unready(process.server)

        remove(path)

        async with within():
            while not await is_unready(process.server):
                await asyncio.sleep(0.05)


async def is_unready(server: RunningServer) -> bool:
    async with server.http.get(f"{server.url}/readyz") as answer:
        return answer.status == 503 and (await answer.json())["checks"]["storage"] is False


@pytest.mark.parametrize("way", ["the same path", "a symlink", "a hard link", "without its lock file"])
async def test_second_server_is_refused(tmp_path: Path, way: str) -> None:
    path = tmp_path / "news.db"
    other = tmp_path / "other.db"
    async with server_process("--database", str(path)) as process:
        assert (await publish(process.server, 1))[0] == 202
        match way:
            case "a symlink":
                other.symlink_to(path)
            case "a hard link":
                other.hardlink_to(path)
            case "without its lock file":
                Path(f"{path}.lock").unlink()
                other = path
            case _:
                other = path

        second = await run_command("serve", "--port", "0", "--database", str(other))

        assert second.code == 1
        assert "another server has this database open" in second.err
        assert (await publish(process.server, 2))[0] == 202
