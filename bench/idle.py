"""What an idle connection costs. This file owns the resident memory a connection, with its user, filter and metrics.

python -m bench.idle
"""

import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path

from bench.running import run
from tests.support.crowd import join
from tests.support.process import server_process

CLIENTS = 5_000
ROUNDS = 5
FILTERS = json.dumps({"impact_threshold": 40, "categories": ["crypto", "economics"], "keywords": ["fed*", "rate cut"]})


async def resident_bytes() -> float:
    """Let everybody in; give the memory that each took, after those before them warmed the server up."""
    with tempfile.TemporaryDirectory() as folder:
        async with server_process("--database", str(Path(folder) / "news.db")) as running:
            server = running.server
            warm = [await join(server.ws_url, f"warm-{number}", filters=FILTERS) for number in range(500)]
            before = await server.metric("process_resident_memory_bytes")
            clients = [await join(server.ws_url, f"user-{number}", filters=FILTERS) for number in range(CLIENTS)]
            # Whoever came last has been idle for a while too.
            await asyncio.sleep(20)
            after = await server.metric("process_resident_memory_bytes")
            for client in (*warm, *clients):
                client.close()
    return (after - before) / CLIENTS


async def measure() -> None:
    sizes = [await resident_bytes() for _ in range(ROUNDS)]
    sys.stdout.write(
        f"{CLIENTS:,} idle connections: {statistics.median(sizes):,.0f} bytes each,"
        f" {min(sizes):,.0f} to {max(sizes):,.0f}\n"
    )


if __name__ == "__main__":
    sys.exit(run(measure()))
