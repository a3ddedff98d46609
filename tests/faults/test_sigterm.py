"""SIGTERM under load, with clients that do not read: the server stops in time, and no client misses an item."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.faults.stage import all_there, publish_for, scale, terminals
from tests.support.ledger import Ledger
from tests.support.process import free_port, server_process
from tests.support.sockets import open_raw
from tests.support.time_limits import within

pytestmark = [pytest.mark.process, pytest.mark.time_limit(600)]

STOPS = scale(2, 10)


async def test_restart_under_load_with_stalled_clients_loses_nothing(tmp_path: Path) -> None:
    ledger, port = Ledger("SIGTERM under load with stalled clients"), free_port()
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"))
    async with terminals(port, 20, acks=lambda number: number % 4 == 1) as around:
        for _ in range(STOPS):
            async with server_process(*start) as running, asyncio.TaskGroup() as publishers:
                await all_there(around)
                ghosts = [await open_raw(running.server.ws_url, f"ghost-{number}") for number in range(10)]
                publishers.create_task(publish_for(ledger, running.server, 1.5, 200, content="x" * 4_000))
                await asyncio.sleep(1.0)
                async with within():
                    assert await running.end(signal.SIGTERM) == 0
                ledger.fired += 1
                for ghost in ghosts:
                    ghost.close()
        async with server_process(*start) as running:
            verdict = await ledger.close(running.server, around)

    verdict.check()
    assert {code for terminal in around for code in terminal.closes} <= {1012, 1006, 0}
