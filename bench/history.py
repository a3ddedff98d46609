"""What a long history costs: the time of a start after kill -9, and of the first item of a resume.

    python -m bench.history [items]

The server's own log fills the database, with a million items by default, in a temporary folder.
"""

import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from websockets.asyncio.client import connect

from app.adapters.sqlite.news_log import open_log
from app.adapters.sqlite.opening import open_database
from app.telemetry.stats import Stats
from bench.running import run
from tests.support.items import entry, raw
from tests.support.process import server_process
from tests.support.server import RunningServer

BATCH = 1_000
STARTS = 5
RESUMES = 5
RESUMED_ITEMS = 5_000
# Six replays of over 2,000 items a minute are allowed.
BETWEEN_RESUMES_S = 11
EVERYTHING = "filters=%7B%22impact_threshold%22%3A0%7D"


class Resume(NamedTuple):
    """The time from the request to the first item, and until the connection is live, in ms."""

    first_ms: float
    live_ms: float


async def fill(path: str, items: int) -> None:
    """Append items that are an hour old, so that nothing is pruned."""
    then = time.time() - 3_600
    async with open_database(path, Stats()) as database:
        log = await open_log(database)
        for start in range(0, items, BATCH):
            numbers = range(start, start + BATCH)
            await log.append([entry(number, then, content=f"content of story {number} " * 10) for number in numbers])


async def resume(server: RunningServer, position: str) -> Resume:
    """Reconnect at a position."""
    began = time.perf_counter()
    first = 0.0
    async with connect(f"{server.ws_url}?user_id=u&v=2&{EVERYTHING}&resume={position}") as socket:
        async for text in socket:
            kind = json.loads(text)["type"]
            first = first or (time.perf_counter() - began) * (kind == "news_item")
            if kind == "live":
                break
    return Resume(first * 1000, (time.perf_counter() - began) * 1000)


async def start(path: str, number: int) -> float:
    """Start and kill; return the seconds from exec to a 200 of /readyz."""
    began = time.perf_counter()
    async with server_process("--database", path) as running:
        await running.server.get("/readyz")
        taken = time.perf_counter() - began
        await running.server.publish(raw(-number))
        await running.end(signal.SIGKILL)
    return taken


async def resumes(path: str) -> list[Resume]:
    async with server_process("--database", path) as running:
        stats = await running.server.get("/api/v1/stats")
        taken = []
        for _ in range(RESUMES):
            taken.append(await resume(running.server, f"{stats['epoch']}:{max(stats['seq'] - RESUMED_ITEMS, 0)}"))
            await asyncio.sleep(BETWEEN_RESUMES_S)
    return taken


async def measure(items: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "news.db")
        await fill(path, items)
        megabytes = (await asyncio.to_thread(Path(path).stat)).st_size / 1e6
        starts = [await start(path, number) for number in range(STARTS)]
        back = await resumes(path)
    sys.stdout.write(
        f"{items:,} items, {megabytes:,.0f} MB\n"
        f"ready {statistics.median(starts):.2f} s after exec, longest {max(starts):.2f} s, killed with -9 before\n"
        f"resume of {RESUMED_ITEMS:,}: first item after {statistics.median(one.first_ms for one in back):.1f} ms,"
        f" longest {max(one.first_ms for one in back):.1f} ms,"
        f" live after {statistics.median(one.live_ms for one in back):.0f} ms\n"
    )


if __name__ == "__main__":
    sys.exit(run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
