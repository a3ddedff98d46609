"""kill -9 under load: what was accepted is stored, and every client gets it."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.faults.stage import all_there, publish_for, scale, terminals
from tests.support.ledger import Ledger
from tests.support.process import free_port, server_process

pytestmark = [pytest.mark.process, pytest.mark.time_limit(600)]

KILLS = scale(3, 20)


@pytest.mark.parametrize("acks", [False, True], ids=["resume", "acks"])
async def test_kill_9_under_load_loses_nothing(tmp_path: Path, acks: bool) -> None:
    ledger, port = Ledger(f"kill -9 under load, by {'acks' if acks else 'resume'}"), free_port()
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"))
    async with terminals(port, scale(20, 50), acks=lambda _number: acks) as around:
        for kill in range(KILLS):
            async with server_process(*start) as running, asyncio.TaskGroup() as publishers:
                await all_there(around)
                for _ in range(3):
                    publishers.create_task(publish_for(ledger, running.server, 0.6, 200))
                await asyncio.sleep(0.3 + 0.1 * (kill % 3))
                assert await running.end(signal.SIGKILL) == -signal.SIGKILL
                ledger.fired += 1
        async with server_process(*start) as running:
            verdict = await ledger.close(running.server, around)

    verdict.check()
    assert ledger.fired == KILLS
    assert len(ledger.acknowledged) > 50 * KILLS
