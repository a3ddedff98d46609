"""A thousand clients, one of which never reads."""

import asyncio
import resource
import time
from pathlib import Path

import pytest

from tests.support.crowd import join
from tests.support.items import raw
from tests.support.process import server_process
from tests.support.sockets import open_raw
from tests.support.time_limits import within

CLIENTS = 1_000
ITEMS = 60
# Together more than the write buffer, the server's send buffer and the client's receive buffer hold.
CONTENT = "x" * 9_000
PAUSE_S = 0.05


@pytest.mark.process
@pytest.mark.time_limit(90)
async def test_thousand_clients_get_everything_despite_one_stalled(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    async with server_process("--database", str(tmp_path / "news.db")) as running:
        server = running.server
        stalled = await open_raw(server.ws_url, "stalled")
        clients = [await join(server.ws_url, f"user-{number}") for number in range(CLIENTS)]

        for number in range(ITEMS):
            await server.publish(raw(number, content=CONTENT, published_at=time.time(), impact_score=90))
            await asyncio.sleep(PAUSE_S)
        async with within():
            while any(client.items < ITEMS for client in clients):
                await asyncio.sleep(0.05)
            while not await server.metric("news_connection_phases", phase="lagging"):
                await asyncio.sleep(0.05)

        open_now = await server.metric("news_connections")
        for client in clients:
            client.close()
        stalled.close()

    ages_ms = sorted(age * 1000 for client in clients for age in client.ages_s)
    median, p99 = ages_ms[len(ages_ms) // 2], ages_ms[int(len(ages_ms) * 0.99)]
    print(f"{CLIENTS} clients, {ITEMS} items of 9 KB, one client stalled: p50 {median:.1f} ms, p99 {p99:.1f} ms")  # noqa: T201
    assert all(client.items == ITEMS for client in clients)
    assert open_now == CLIENTS + 1
