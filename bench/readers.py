"""What clients that never read cost the others. This file owns the comparison of a crowd with and without them.

    python -m bench.readers [seconds]

5,000 clients on one core, the server on another; 5 items/s of 2 KB. In every second round 50 of the clients read
nothing until the end. Printed are the delivery latency of the others (from `published_at` to the client's event loop),
what a stalled client costs in memory, and whether it then gets what it missed.
"""

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import uvloop

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
    """One round: latencies of the healthy in ms, memory in bytes, how far the stalled were behind, what is missing."""

    p50_ms: float
    p99_ms: float
    memory_bytes: float
    behind_items: int
    missing_items: int


async def play(stalled: int, seconds: int) -> Round:
    """Let everybody in, publish for a while, let the stalled read again."""
    with tempfile.TemporaryDirectory() as folder:
        async with server_process("--database", str(Path(folder) / "news.db"), "--log-level", "info") as running:
            os.sched_setaffinity(running.process.pid, {0})
            server = running.server
            clients = [await join(server.ws_url, f"user-{number}") for number in range(CLIENTS - stalled)]
            deaf = [await join_stalled(server.ws_url, f"deaf-{number}") for number in range(stalled)]
            await asyncio.sleep(2)
            before = await server.metric("process_resident_memory_bytes")
            count = await publish(server, seconds)
            after = await server.metric("process_resident_memory_bytes")
            behind = await server.metric("news_behind_max_items")
            for client in deaf:
                client.go_on()
            await everything_there([*clients, *deaf], count)
            ages = sorted(age * 1000 for client in clients for age in client.ages_s)
            missing = sum(count - client.items for client in (*clients, *deaf))
            for client in (*clients, *deaf):
                client.close()
    return Round(ages[len(ages) // 2], ages[int(len(ages) * 0.99)], after - before, int(behind), missing)


async def publish(server: RunningServer, seconds: int) -> int:
    """Publish at the rate; give how many."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(seconds * PER_S):
        await asyncio.sleep(began + number / PER_S - loop.time())
        await server.publish(raw(number, content=CONTENT, published_at=time.time(), impact_score=90))
    return seconds * PER_S


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
    without, beside = [statistics.median(one.p99_ms for one in played) for played in rounds.values()]
    memory = [statistics.median(one.memory_bytes for one in played) for played in rounds.values()]
    sys.stdout.write(
        f"p99 of the healthy: {without:.2f} ms alone, {beside:.2f} ms beside {STALLED} that never read"
        f" ({beside / without:.2f} of it); a stalled client costs {(memory[1] - memory[0]) / STALLED / 1024:.0f} KiB;"
        f" missing {sum(one.missing_items for played in rounds.values() for one in played)}\n"
    )


def main() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {1})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
    return 0


if __name__ == "__main__":
    sys.exit(main())
