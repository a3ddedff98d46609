"""A whole server on a free port of this machine, in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiohttp
import msgspec

from app.config import Settings
from app.serve import Listening, serve
from app.telemetry.stats import Stats


class RunningServer(NamedTuple):
    """The server's address, and a session for requests to it."""

    url: str
    http: aiohttp.ClientSession
    stopping: asyncio.Event
    metrics_url: str = ""

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws/news"

    async def get(self, path: str) -> Any:
        async with self.http.get(self.url + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def publish(self, *items: dict[str, Any]) -> list[dict[str, Any]]:
        """Publish as NDJSON, in batches of 100; return the receipts."""
        receipts: list[dict[str, Any]] = []
        for start in range(0, len(items), 100):
            body = b"\n".join(map(msgspec.json.encode, items[start : start + 100]))
            headers = {"Content-Type": "application/x-ndjson"}
            async with self.http.post(f"{self.url}/api/v1/news", data=body, headers=headers) as answer:
                assert answer.status == 202, await answer.text()
                receipts += (await answer.json())["items"]
        return receipts

    async def subscribe(self, user_id: str, **filters: Any) -> None:
        body = {"user_id": user_id, **filters}
        async with self.http.post(f"{self.url}/api/v1/subscriptions", json=body) as answer:
            assert answer.status in (200, 201), await answer.text()

    async def metric(self, name: str, **labels: str) -> float:
        """Return one sample of /metrics."""
        async with self.http.get(f"{self.metrics_url or self.url}/metrics") as answer:
            text = await answer.text()
        inner = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        wanted = f"{name}{{{inner}}} " if labels else f"{name} "
        [line] = [line for line in text.splitlines() if line.startswith(wanted)]
        return float(line.split()[-1])


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[RunningServer]:
    """Run a server while the context lasts, and drain it at the end."""
    chosen = msgspec.convert({"port": 0, "database": ":memory:"} | settings, Settings)
    stopping = asyncio.Event()
    listening: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(chosen, stopping, listening.set_result, Stats()))
    # A server that cannot start raises here, instead of leaving the test waiting.
    serving.add_done_callback(lambda _task: listening.cancel())
    with suppress(asyncio.CancelledError):
        await listening
    if serving.done():
        await serving
    async with aiohttp.ClientSession() as http:
        try:
            addresses, metrics_addresses = await listening
            yield RunningServer(addresses[0], http, stopping, next(iter(metrics_addresses), ""))
        finally:
            stopping.set()
            await serving
