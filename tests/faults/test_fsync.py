"""A disk that fails to store data (fdatasync returns EIO): nothing is acknowledged from then on."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.faults.stage import all_there, terminals
from tests.support.ledger import Ledger
from tests.support.process import free_port, server_process
from tests.support.time_limits import within

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]


async def test_failed_fsync_refuses_writes_until_restart(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        assert not os.environ.get("CI"), "CI must have strace"
        pytest.skip("strace is not installed: apt-get install strace")
    ledger, port = Ledger("failed fsync"), free_port()
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"))
    async with terminals(port, 5) as around:
        async with server_process(*start) as running:
            await all_there(around)
            for _ in range(5):
                assert await ledger.publish(running.server, 10)
            failing = await asyncio.create_subprocess_exec(
                *(strace, "-f", "-qq", "-p", str(running.process.pid), "-o", os.devnull),
                *("-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"),
            )
            async with within():
                while await ledger.publish(running.server) and failing.returncode is None:
                    await asyncio.sleep(0.05)
            if failing.returncode is not None:
                pytest.skip("strace may not look at another process here")
            failing.terminate()
            await failing.wait()
            later = [await ledger.publish(running.server) for _ in range(5)]
            async with running.server.http.get(f"{running.server.url}/readyz") as ready:
                checks = (await ready.json())["checks"]
            ledger.fired = ledger.refusals[500]
            await running.end()
        async with server_process(*start) as running:
            verdict = await ledger.close(running.server, around)

    verdict.check()
    assert not any(later)
    assert not checks["storage"]
