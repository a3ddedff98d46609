"""The resident memory of an idle connection, with its user, filter and metrics.

python -m bench.idle
"""

import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.running import run
from tests.support.crowd import CountingClient, join
from tests.support.process import ROOT, server_process

CLIENTS = 5_000
WARM = 500
ROUNDS = 5
FILTERS = json.dumps({"impact_threshold": 40, "categories": ["crypto", "economics"], "keywords": ["fed*", "rate cut"]})
# The last client has been idle for a while too, and was pinged.
_IDLE_S = 20


class Idle(NamedTuple):
    """Resident bytes a connection: uncompressed, and with permessage-deflate."""

    plain: float
    deflating: float


async def idle_bytes(rounds: int) -> Idle:
    """Return the medians of `rounds` rounds."""
    played = [
        Idle(*await asyncio.gather(resident_bytes(is_deflating=False), resident_bytes(is_deflating=True)))
        for _ in range(rounds)
    ]
    return Idle(*map(statistics.median, zip(*played, strict=True)))


async def resident_bytes(*, is_deflating: bool, root: Path = ROOT) -> float:
    """Connect clients to warm the server up and then more; return the memory that each of those took.

    `root` is the checkout that the server is run from.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with server_process("--database", str(Path(folder) / "news.db"), root=root) as running:
            server = running.server

            async def let_in(name: str, clients: int) -> list[CountingClient]:
                return [
                    await join(server.ws_url, f"{name}-{number}", is_deflating=is_deflating, filters=FILTERS)
                    for number in range(clients)
                ]

            warm = await let_in("warm", WARM)
            before = await server.metric("process_resident_memory_bytes")
            clients = await let_in("user", CLIENTS)
            await asyncio.sleep(_IDLE_S)
            after = await server.metric("process_resident_memory_bytes")
            for client in (*warm, *clients):
                client.close()
    return (after - before) / CLIENTS


async def measure() -> None:
    idle = await idle_bytes(ROUNDS)
    sys.stdout.write(
        f"{CLIENTS:,} idle connections: {idle.plain:,.0f} bytes each, {idle.deflating:,.0f} with compression agreed\n"
    )


if __name__ == "__main__":
    sys.exit(run(measure()))
