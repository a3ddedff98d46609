"""Many clients that reconnect all the time: the transition from replay to live holds."""

from pathlib import Path

import pytest

from tests.faults.stage import all_there, publish_for, scale, terminals
from tests.support.ledger import Ledger
from tests.support.process import free_port, server_process

pytestmark = [pytest.mark.process, pytest.mark.time_limit(600)]


async def test_flapping_clients_miss_and_repeat_nothing(tmp_path: Path) -> None:
    ledger, port = Ledger(f"{scale(60, 200)} flapping terminals at {scale(250, 500)} items/s"), free_port()
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"))
    async with server_process(*start) as running:
        async with terminals(port, scale(60, 200), acks=lambda number: number % 4 == 1, stays_s=(0.2, 2.0)) as around:
            await all_there(around)
            await publish_for(ledger, running.server, scale(5, 60), scale(250, 500))
            verdict = await ledger.close(running.server, around, within_s=60)
        ledger.fired = sum(terminal.connects - 1 for terminal in around)
        resumed = await running.server.metric("news_resumes_total", result="complete")

    verdict._replace(fired=ledger.fired).check()
    assert ledger.fired > len(around)
    assert resumed > len(around)
