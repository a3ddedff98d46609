"""A full disk, on a small tmpfs: 507 and never a false success; readers are served; free space heals it."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.stage import all_there, terminals
from tests.support.ledger import Ledger, wanted
from tests.support.process import free_port, server_process
from tests.support.server import RunningServer
from tests.support.time_limits import within

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount 24 MB of memory as a disk, which needs root."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted: that wants root")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


async def storage(server: RunningServer) -> tuple[int, bool]:
    async with server.http.get(f"{server.url}/readyz") as answer:
        return answer.status, (await answer.json())["checks"]["storage"]


async def test_full_disk_is_reported_and_survived(small_disk: Path) -> None:
    ledger, port = Ledger("disk full"), free_port()
    start = ("--port", str(port), "--database", str(small_disk / "news.db"))
    hog = small_disk / "hog"
    async with terminals(port, 10) as around:
        async with server_process(*start) as running:
            server = running.server
            await all_there(around)
            for _ in range(3):
                await ledger.publish(server, 10)
            hog.write_bytes(os.urandom(9_000_000))
            while await ledger.publish(server, 10, content="x" * 12_000):
                pass
            full = await storage(server)
            refused = [await ledger.publish(server) for _ in range(3)]
            newest = (await server.get("/api/v1/news?limit=1"))["items"]
            ledger.fired = ledger.refusals[507]
            assert (await server.metric("news_connections"), full) == (10, (503, False))
            assert not any(refused)
            assert newest
            hog.unlink()
            async with within():
                while await storage(server) != (200, True):
                    await asyncio.sleep(0.1)
            for _ in range(3):
                assert await ledger.publish(server, 10)
        async with server_process(*start) as running:
            verdict = await ledger.close(running.server, around)

    verdict.check()
    assert set(ledger.refusals) == {507}


async def test_server_starts_and_serves_reads_on_full_disk(small_disk: Path) -> None:
    ledger, port = Ledger("start on a full disk"), free_port()
    start = ("--port", str(port), "--database", str(small_disk / "news.db"))
    async with terminals(port, 10) as around:
        async with server_process(*start) as running:
            await all_there(around)
            await ledger.publish(running.server, 30)
            running.process.kill()
            await running.process.wait()
        with (small_disk / "hog").open("wb", buffering=0) as hog, pytest.raises(OSError, match="No space"):
            while True:
                hog.write(os.urandom(4096))

        async with server_process(*start) as running:
            refused = not await ledger.publish(running.server)
            stored = await ledger.stored(running.server)
            async with within():
                while not all(wanted(one, stored) <= set(one.seqs) for one in around):
                    await asyncio.sleep(0.05)
            code = await running.end()
        ledger.fired = ledger.refusals[507]

    ledger.verdict(stored, around).check()
    assert refused
    assert len(stored) == 30
    assert code == 0
