"""Clients that stop reading, or read slowly: they fall behind, and get everything when they read again."""

from pathlib import Path

import pytest

from tests.faults.stage import all_there, publish_for, scale, terminals
from tests.support.ledger import Ledger
from tests.support.process import free_port, server_process

pytestmark = [pytest.mark.process, pytest.mark.time_limit(600)]


async def test_stalled_and_slow_readers_lose_and_delay_nothing(tmp_path: Path) -> None:
    ledger, port = Ledger(f"readers that stall for {scale(6, 45)} s or are slow"), free_port()
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"))
    crowd = terminals(port, 12, greedy=4, acks=lambda number: number in (3, 6))
    async with server_process(*start) as running, crowd as around:
        await all_there(around)
        stalled, slow = around[:4], around[4:7]
        for terminal in stalled:
            terminal.reads.clear()
        for terminal in slow:
            terminal.pause_s = 0.02
        # Long enough that the kernel cannot buffer what the stalled clients do not read.
        long = "x" * 12_000
        await publish_for(ledger, running.server, 6, 100, content=long)
        behind = await running.server.metric("news_behind_max_items")
        # In the long form, long enough that stalled clients are disconnected and have to resume.
        await publish_for(ledger, running.server, scale(0, 40), 100, content=long)
        for terminal in stalled:
            terminal.reads.set()
        verdict = await ledger.close(running.server, around, within_s=90)
        ledger.fired = int(await running.server.metric("news_slow_consumers_total", action="lagging"))

    verdict._replace(fired=ledger.fired).check()
    assert behind > 0
    assert all(terminal.connects == 1 for terminal in around[7:])
