"""How the Python peers are driven: they read payloads from stdin, one a line, some at once.

A peer is started with a port and the number of payloads to send before its event loop runs, prints LISTENING, and then
sends each payload to every client.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine

import uvloop

PORT, ITEMS_A_TURN = (int(argument) for argument in sys.argv[1:3])
HOST = "127.0.0.1"
BACKLOG = 4096


async def send_lines(send: Callable[[bytes], Awaitable[None] | None]) -> None:
    """Pass each payload to `send` until stdin ends."""
    loop, stream = asyncio.get_running_loop(), asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin)
    sys.stdout.write("LISTENING\n")
    sys.stdout.flush()
    waiting: list[bytes] = []
    async for line in stream:
        waiting.append(line[:-1])
        if len(waiting) < ITEMS_A_TURN:
            continue
        for payload in waiting:
            if (sending := send(payload)) is not None:
                await sending
        waiting.clear()
        await asyncio.sleep(0)


def run(serving: Coroutine[None, None, None]) -> None:
    uvloop.run(serving)
