"""The listening sockets of an application."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from typing import Any, NamedTuple, cast

from aiohttp import web

from app.adapters.http.http_connections import HttpConnections
from app.adapters.http.server_protocol import ServerProtocol
from app.config import Settings
from app.core.limits import Limits
from app.telemetry.stats import Stats

_BACKLOG = 1024


class Listener(NamedTuple):
    """The host and port to listen on. `setting` is the environment variable that sets the port, for error messages."""

    host: str
    port: int
    setting: str = "NEWS_PORT"


@asynccontextmanager
async def running(
    application: web.Application, listener: Listener, settings: Settings, limits: Limits, stats: Stats
) -> AsyncIterator[list[str]]:
    """Serve an application while the context is open, and yield its addresses as `http://host:port`.

    Raises OSError if the host cannot be resolved or an address cannot be bound; the message names the setting to
    correct.
    """
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    connections = HttpConnections(settings, limits.requests, stats)
    # runner.server is None only before setup().
    server = cast("web.Server", runner.server)
    new_protocol = partial(ServerProtocol, server, connections, limits.requests, stats, loop)
    try:
        with ExitStack() as stack:
            servers = [
                stack.enter_context(closing(await loop.create_server(new_protocol, sock=bound, backlog=_BACKLOG)))
                for bound in _bind(listener, limits.delivery.socket_buffer_bytes)
            ]
            yield [f"http://{_printable(end.getsockname())}" for server in servers for end in server.sockets]
    finally:
        await runner.cleanup()


def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    """Return the addresses of a host, as `socket.getaddrinfo` does. Raises OSError; the message names the setting."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    except OSError as error:
        raise OSError(f"NEWS_HOST={host!r}: {error.strerror}") from error


def _bind(listener: Listener, send_buffer_bytes: int) -> list[socket.socket]:
    """Return a bound socket for each address of the host. Raises OSError; the message names the setting.

    The kernel's send buffer is limited to `send_buffer_bytes`, so that a slow client's unsent bytes wait in the
    transport, where they are counted.
    """
    bound = []
    for family, kind, protocol, _name, address in dict.fromkeys(resolve(listener.host, listener.port)):
        end = socket.socket(family, kind, protocol)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        if family == socket.AF_INET6:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            end.bind(address)
        except OSError as error:
            end.close()
            reason = (error.strerror or str(error)).lower()
            raise OSError(f"{listener.setting}={listener.port}: {_printable(address)}: {reason}") from error
        bound.append(end)
    return bound


def _printable(address: Sequence[object]) -> str:
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
