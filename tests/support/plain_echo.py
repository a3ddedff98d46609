"""aiohttp's own WebSockets as an echo server, which the product's framing is compared with.

python -m tests.support.plain_echo 9003
"""

import asyncio
import sys

import uvloop
from aiohttp import WSMsgType, web

_MESSAGE_BYTES = 20 * 1024 * 1024


async def get_echo(request: web.Request) -> web.StreamResponse:
    """Upgrade, and echo."""
    socket = web.WebSocketResponse(max_msg_size=_MESSAGE_BYTES)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def main(port: int) -> None:
    """Serve until cancelled."""
    app = web.Application()
    app.router.add_get("/", get_echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
