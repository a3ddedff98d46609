"""Scenes for faults: clients around a server that may stop and come back, and how large each scene is."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.ledger import Ledger, wishes
from tests.support.server import RunningServer
from tests.support.terminals import Terminal
from tests.support.time_limits import within

IS_LONG = os.environ.get("FAULTS") == "long"


def scale(short: int, long: int) -> int:
    return long if IS_LONG else short


@asynccontextmanager
async def terminals(
    port: int, count: int, *, greedy: int = 1, acks: Callable[[int], bool] = lambda _number: False, **ways: Any
) -> AsyncIterator[list[Terminal]]:
    """Run `count` clients; the first have no filter. They connect as soon as there is a server."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        around = [
            Terminal(
                http,
                lambda: f"ws://127.0.0.1:{port}/ws/news",
                f"terminal-{number}",
                {"impact_threshold": 0} if number < greedy else wishes(number),
                acks=acks(number),
                **ways,
            )
            for number in range(count)
        ]
        running = [asyncio.create_task(terminal.run()) for terminal in around]
        try:
            yield around
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)


async def all_there(around: Sequence[Terminal]) -> None:
    """Wait until every client was welcomed once."""
    async with within():
        while not all(terminal.position for terminal in around):
            await asyncio.sleep(0.02)


async def publish_for(ledger: Ledger, server: RunningServer, seconds: float, per_s: int, **changes: Any) -> None:
    """Publish at a rate, in batches of ten, for some seconds or until the server is gone."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(int(seconds * per_s / 10)):
        await asyncio.sleep(began + number * 10 / per_s - loop.time())
        await ledger.publish(server, 10, **changes)
