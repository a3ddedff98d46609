"""A client in a process of its own, so that it can be stopped: prints what it received after the last item."""

import asyncio
import json
import sys

import aiohttp

from tests.support.terminals import Terminal


async def read(address: str, user: str, filters: str, until: int) -> None:
    async with aiohttp.ClientSession() as http:
        terminal = Terminal(http, lambda: address, user, json.loads(filters))
        reading = asyncio.create_task(terminal.run())
        while not terminal.position:
            await asyncio.sleep(0.01)
        sys.stdout.write("there\n")
        sys.stdout.flush()
        while terminal.reached < until:
            await asyncio.sleep(0.05)
        reading.cancel()
    sys.stdout.write(json.dumps({"seqs": terminal.seqs, "gaps": terminal.gaps, "connects": terminal.connects}) + "\n")


if __name__ == "__main__":
    asyncio.run(read(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
