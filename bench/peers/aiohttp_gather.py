"""Peer: aiohttp as in its examples, with a handler for each client and a gather of send_str()."""

import asyncio

from aiohttp import web
from lines import BACKLOG, HOST, PORT, run, send_lines

connections: set[web.WebSocketResponse] = set()


async def keep(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=15)
    await socket.prepare(request)
    connections.add(socket)
    try:
        async for _message in socket:
            pass
    finally:
        connections.discard(socket)
    return socket


async def send(payload: bytes) -> None:
    text = payload.decode()
    await asyncio.gather(*(socket.send_str(text, compress=0) for socket in connections))


async def main() -> None:
    application = web.Application()
    application.router.add_get("/ws/news", keep)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, PORT, backlog=BACKLOG).start()
    await send_lines(send)


run(main())
