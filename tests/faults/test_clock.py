"""The wall clock jumps by days while news flows: no order, no timeout and no limit changes."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.faults.stage import all_there, publish_for, scale, terminals
from tests.support.ledger import Ledger
from tests.support.process import free_port, server_process

pytestmark = [pytest.mark.process, pytest.mark.time_limit(300)]

JUMPS = ("+1d", "-1d", "+400d", "-400d", "+0")


def faketime() -> Path:
    """Return the path of libfaketime; without it the test is skipped."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        assert not os.environ.get("CI"), "CI must have faketime"
        pytest.skip("libfaketime is not installed: apt-get install faketime")
    return found[0]


async def test_clock_jump_changes_nothing(tmp_path: Path) -> None:
    ledger, port, set_to = Ledger("clock jumps"), free_port(), tmp_path / "time"
    set_to.write_text("+0")
    environment = {
        "LD_PRELOAD": str(faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(set_to),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"), "--heartbeat-s", "1")
    async with server_process(*start, environment=environment) as running, terminals(port, 10) as around:
        await all_there(around)
        for jump in JUMPS * scale(1, 5):
            await asyncio.to_thread(set_to.write_text, jump)
            jumped_s = abs(await running.server.metric("news_time_seconds") - time.time())
            assert (jumped_s > 80_000) is (jump != "+0")
            ledger.fired += jumped_s > 80_000
            await publish_for(ledger, running.server, 1, 50)
        verdict = await ledger.close(running.server, around)
        oldest = (await running.server.get("/api/v1/stats"))["oldest_seq"]

    verdict.check()
    assert oldest == 1
    assert all(terminal.connects == 1 for terminal in around)
