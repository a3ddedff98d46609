"""The original's own client loop, which reconnects at once after a clean close, must never spin.

It pauses only after an error. So every close that the server initiates must be an error to it: after 1000 or 1001 a
thousand clients would reconnect as fast as they can.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest
import websockets

from tests.support.process import free_port, server_process
from tests.support.server import running
from tests.support.time_limits import within

pytestmark = [pytest.mark.process, pytest.mark.time_limit(90)]

WAITS_S = 1.0
# One attempt a second, and the first one at once.
MAX_ATTEMPTS_PER_S = 1.5


class Loop:
    """The loop of the original's examples; `floods` sends too many messages each time it is connected."""

    def __init__(self, url: str, *, floods: bool = False) -> None:
        self.attempts = 0
        self.connections = 0
        self._url, self._floods = url, floods

    async def run(self) -> None:
        while True:
            self.attempts += 1
            try:
                async with websockets.connect(self._url) as socket:
                    self.connections += 1
                    for _ in range(100 * self._floods):
                        await socket.send(json.dumps({"type": "ping"}))
                    async for _ in socket:
                        pass
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(WAITS_S)


@asynccontextmanager
async def looping(*loops: Loop) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def attempts_per_s(*loops: Loop) -> float:
    """Return the rate of the busiest loop, over some seconds and at least three attempts of each."""
    before, began = [loop.attempts for loop in loops], monotonic()
    made = [0]
    async with within():
        while min(made) < 3 or monotonic() - began < 2.5:
            await asyncio.sleep(0.05)
            made = [loop.attempts - earlier for loop, earlier in zip(loops, before, strict=True)]
    return max(made) / (monotonic() - began)


async def test_original_client_survives_restarts(tmp_path: Path) -> None:
    port = free_port()
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"))
    loop = Loop(f"ws://127.0.0.1:{port}/ws/news?user_id=u")
    async with looping(loop):
        for _ in range(2):
            async with server_process(*start) as server:
                while not await server.server.metric("news_connections"):
                    await asyncio.sleep(0.05)
                await server.end(signal.SIGTERM)
            assert await attempts_per_s(loop) <= MAX_ATTEMPTS_PER_S

    assert loop.connections == 2


async def test_original_client_survives_contention_for_one_place() -> None:
    async with running(connection_policy="one") as server:
        mine, theirs = Loop(f"{server.ws_url}?user_id=u"), Loop(f"{server.ws_url}?user_id=u")
        async with looping(mine, theirs):
            attempts = await attempts_per_s(mine, theirs)
        fights = await server.metric("news_connections_closed_total", reason="replaced")

    assert fights >= 2
    assert attempts <= MAX_ATTEMPTS_PER_S


async def test_original_client_survives_connection_and_message_limits() -> None:
    async with running(max_connections_per_user=1) as server:
        first = Loop(f"{server.ws_url}?user_id=u")
        second, flooding = Loop(f"{server.ws_url}?user_id=u"), Loop(f"{server.ws_url}?user_id=f", floods=True)
        async with looping(first):
            while not first.connections:
                await asyncio.sleep(0.02)
            async with looping(second, flooding):
                attempts = await attempts_per_s(second, flooding)
        refused = await server.metric("news_handshake_failures_total", reason="user_limit")
        floods = await server.metric("news_connections_closed_total", reason="rate_limited")

    assert (second.connections, first.attempts) == (0, 1)
    assert refused >= 2
    assert floods >= 2
    assert attempts <= MAX_ATTEMPTS_PER_S
