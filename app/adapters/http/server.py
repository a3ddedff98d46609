"""Where an application listens. This file owns its sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from typing import cast

from aiohttp import web

from app.adapters.http.server_protocol import ServerProtocol
from app.core.limits import Limits
from app.telemetry.stats import Stats

_BACKLOG = 1024


@asynccontextmanager
async def running(
    application: web.Application, host: str, port: int, limits: Limits, stats: Stats
) -> AsyncIterator[list[str]]:
    """Run an application while the context lasts, and give its addresses."""
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    # There is one from here on.
    new_handler = partial(ServerProtocol, cast("web.Server", runner.server), limits, stats, loop)
    try:
        with ExitStack() as open_ends:
            servers = [
                open_ends.enter_context(closing(await loop.create_server(new_handler, sock=listener, backlog=_BACKLOG)))
                for listener in _listeners(host, port, limits.send_buffer_bytes)
            ]
            yield [f"http://{_printable(end.getsockname())}" for server in servers for end in server.sockets]
    finally:
        await runner.cleanup()


def _listeners(host: str, port: int, send_buffer_bytes: int) -> list[socket.socket]:
    """Bind every address of the host. A small send buffer keeps a slow client's backlog where it is counted."""
    listeners = []
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _name, address in dict.fromkeys(infos):
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listeners.append(listener)
    return listeners


def _printable(address: Sequence[object]) -> str:
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
