"""Where an application listens. This file owns its sockets, and how its HTTP connections are kept and ended."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from app.adapters.http.application import AccessLog

_KEEPALIVE_S = 10.0
# How long a body is read and thrown away after the answer, so that its sender comes to read that.
_LINGERING_S = 1.0
_BACKLOG = 1024


@asynccontextmanager
async def running(
    application: web.Application, host: str, port: int, send_buffer_bytes: int
) -> AsyncIterator[list[str]]:
    """Run an application while the context lasts, and give its addresses."""
    runner = web.AppRunner(
        application,
        access_log_class=AccessLog,
        keepalive_timeout=_KEEPALIVE_S,
        lingering_time=_LINGERING_S,
        handle_signals=False,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    try:
        for listener in _listeners(host, port, send_buffer_bytes):
            await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        yield [f"http://{_printable(address)}" for address in runner.addresses]
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
