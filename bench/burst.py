"""The server's processor time a delivery when items arrive in bursts.

    python -m bench.burst

1,000 clients on one core, the server on another; items are published 100 at a time as NDJSON, so that many wait at
once. The clients are in Python and slower than the server, so its processor time is measured, not the elapsed time.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.running import run
from tests.support.crowd import CountingClient, join
from tests.support.items import raw
from tests.support.process import server_process
from tests.support.server import RunningServer

CLIENTS = 1_000
BURST = 100
ROUNDS = 9
CONTENT = "x" * 700


class Round(NamedTuple):
    """One burst: the server's processor time a delivery in µs, including enriching and storing items;
    seconds in all.
    """

    cpu_us: float
    seconds: float


async def burst(server: RunningServer, clients: list[CountingClient], number: int) -> Round:
    """Publish one burst and wait until every client has all of it."""
    loop = asyncio.get_running_loop()
    before, began = await server.metric("process_cpu_seconds_total"), loop.time()
    first = number * BURST
    await server.publish(*(raw(first + one, content=CONTENT, impact_score=90) for one in range(BURST)))
    for _ in range(1_000):
        if all(client.items == first + BURST for client in clients):
            break
        await asyncio.sleep(0.02)
    seconds = loop.time() - began
    cpu_s = await server.metric("process_cpu_seconds_total") - before
    return Round(cpu_s / (BURST * len(clients)) * 1e6, seconds)


async def measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with server_process("--database", str(Path(folder) / "news.db")) as running:
            os.sched_setaffinity(running.process.pid, {0})
            clients = [await join(running.server.ws_url, f"user-{number}") for number in range(CLIENTS)]
            rounds = [await burst(running.server, clients, number) for number in range(ROUNDS)]
            for client in clients:
                client.close()
    cpu_us, seconds = (statistics.median(values) for values in zip(*rounds, strict=True))
    sys.stdout.write(
        f"{CLIENTS:,} clients, bursts of {BURST} items of 1 KB:"
        f" {cpu_us:.2f} µs of the server's processor a delivery, {seconds:.2f} s a burst\n"
    )


if __name__ == "__main__":
    sys.exit(run(measure(), core=1))
