"""What clients that never read cost the others: clients with and without them.

    python -m bench.readers [seconds]

5,000 clients on one core, the server on another; 5 items/s of 2 KB. In every second round 50 of the clients read
nothing until the end, are disconnected in between, and then resume. Printed are the delivery latency of the others
(from `published_at` to the client's event loop), the memory of a stalled client, and the items that were missed.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.running import run
from tests.support.crowd import CountingClient, join, join_stalled
from tests.support.items import raw
from tests.support.process import server_process
from tests.support.server import RunningServer

CLIENTS = 5_000
STALLED = 50
PER_S = 5
CONTENT = "x" * 1_400
ROUNDS = 5


class Round(NamedTuple):
    """One round: latencies of the healthy clients in ms, the peak memory while publishing, and the items that were
    missed.
    """

    p50_ms: float
    p99_ms: float
    peak_bytes: float
    missing_items: int


async def play(stalled: int, seconds: int) -> Round:
    """Connect all clients, publish for a while, let the stalled ones resume."""
    with tempfile.TemporaryDirectory() as folder:
        async with server_process("--database", str(Path(folder) / "news.db")) as running:
            os.sched_setaffinity(running.process.pid, {0})
            server = running.server
            clients = [await join(server.ws_url, f"user-{number}") for number in range(CLIENTS - stalled)]
            deaf = [await join_stalled(server.ws_url, f"deaf-{number}") for number in range(stalled)]
            await asyncio.sleep(2)
            before = await server.metric("process_resident_memory_bytes")
            peak = await publish(server, seconds)
            await everything_there(clients, seconds * PER_S)
            missing = sum(seconds * PER_S - client.items for client in clients)
            missing += await come_back(server, deaf, seconds * PER_S)
            ages = sorted(age * 1000 for client in clients for age in client.ages_s)
            for client in clients:
                client.close()
    return Round(ages[len(ages) // 2], ages[int(len(ages) * 0.99)], peak - before, missing)


async def publish(server: RunningServer, seconds: int) -> float:
    """Publish at the rate; return the peak memory of the server."""
    loop = asyncio.get_running_loop()
    began, peak = loop.time(), 0.0
    for number in range(seconds * PER_S):
        await asyncio.sleep(began + number / PER_S - loop.time())
        await server.publish(raw(number, content=CONTENT, published_at=time.time(), impact_score=90))
        if number % (5 * PER_S) == 0:
            peak = max(peak, await server.metric("process_resident_memory_bytes"))
    return peak


async def come_back(server: RunningServer, deaf: list[CountingClient], count: int) -> int:
    """Let the stalled clients read what is left for them, and resume after it; return the items that they
    did not get.
    """
    for client in deaf:
        client.go_on()
    await asyncio.sleep(2)
    epoch = (await server.get("/api/v1/stats"))["epoch"]
    again = []
    for number, client in enumerate(deaf):
        again.append(await join(server.ws_url, f"deaf-{number}", resume=f"{epoch}:{client.items}"))
    missing = 0
    for _ in range(100):
        missing = sum(count - first.items - second.items for first, second in zip(deaf, again, strict=True))
        if not missing:
            break
        await asyncio.sleep(0.1)
    for client in (*deaf, *again):
        client.close()
    return missing


async def everything_there(clients: list[CountingClient], count: int) -> None:
    for _ in range(300):
        if all(client.items >= count for client in clients):
            return
        await asyncio.sleep(0.1)


async def measure(seconds: int) -> None:
    rounds: dict[int, list[Round]] = {0: [], STALLED: []}
    for _ in range(ROUNDS):
        for stalled, played in rounds.items():
            played.append(await play(stalled, seconds))
            sys.stdout.write(f"{stalled:3} stalled: {played[-1]}\n")
            sys.stdout.flush()
    alone, beside = (statistics.median(one.p99_ms for one in played) for played in rounds.values())
    least, most = (statistics.median(one.peak_bytes for one in played) for played in rounds.values())
    missing = sum(one.missing_items for played in rounds.values() for one in played)
    sys.stdout.write(
        f"p99 of the healthy: {alone:.1f} ms alone, {beside:.1f} ms beside {STALLED} that never read"
        f" ({beside / alone:.2f} of it)\n"
        f"a stalled client costs {(most - least) / STALLED / 1024:.0f} KiB; missing {missing} items\n"
    )


if __name__ == "__main__":
    sys.exit(run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 60), core=1))
