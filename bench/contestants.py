"""How each contestant is started and given items; all run on core 0.

The peers get messages ready to be sent. polyfloat-news is used as in production: items are published over HTTP and made
durable, its users have stored their filters, and all its other work is enabled.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import aiohttp

from bench.items import message, published
from bench.workshop import BUN, LIMIT, NATS, PEER_PYTHON, PEERS, ROOT, Scene
from tests.support.process import free_port
from tests.support.server import RunningServer

SERVER_CORE = 0


class Running(NamedTuple):
    """A contestant that listens. `publish` passes it items, and returns when it has accepted them."""

    pid: int
    port: int
    publish: Callable[[Sequence[int]], Awaitable[None]]


Start = Callable[[Scene, int], AbstractAsyncContextManager[Running]]


class Contestant(NamedTuple):
    """A name, how it is started (with how many items it may send at once), and the protocol of its clients."""

    name: str
    start: Start
    speaks_nats: bool = False
    offers_deflate: bool = False
    # Only polyfloat-news has filters: the others send everything to every client.
    has_filters: bool = False


def on_server_core() -> None:
    os.sched_setaffinity(0, {SERVER_CORE})


@asynccontextmanager
async def _process(
    *command: str | Path, environment: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=PEERS,
        env=dict(os.environ, **environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=None if os.environ.get("BENCH_VERBOSE") else asyncio.subprocess.DEVNULL,
        preexec_fn=on_server_core,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def peer(*program: str | Path) -> Start:
    """Return a program that reads messages from stdin, one a line."""

    @asynccontextmanager
    async def start(_scene: Scene, items_a_write: int) -> AsyncIterator[Running]:
        port = free_port()
        async with _process(*program, str(port), str(items_a_write)) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            stdin = process.stdin
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line.startswith(b"LISTENING"), f"{program[-1]} did not start"

            async def publish(numbers: Sequence[int]) -> None:
                stdin.writelines(message(number) + b"\n" for number in numbers)
                await stdin.drain()

            yield Running(process.pid, port, publish)

    return start


@asynccontextmanager
async def nats(scene: Scene, _items_a_write: int) -> AsyncIterator[Running]:
    """A NATS server with WebSockets; items are published over TCP, in its own protocol."""
    port, tcp_port = free_port(), free_port()
    config = scene.folder / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{tcp_port}"\nmax_connections: 65536\nmax_pending: 512MB\nwrite_deadline: "30s"\n'
        f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}\n',
        encoding="ascii",
    )
    # One core, so one thread: more of them would only take turns.
    async with _process(NATS, "-c", config, environment={"GOMAXPROCS": "1"}) as process:
        await _listens(port)
        reader, writer = await asyncio.open_connection("127.0.0.1", tcp_port)
        writer.write(b'CONNECT {"verbose":false}\r\n')

        async def publish(numbers: Sequence[int]) -> None:
            for number in numbers:
                payload = message(number)
                writer.write(b"PUB news %d\r\n%b\r\n" % (len(payload), payload))
            # The answer confirms that everything before it was accepted.
            writer.write(b"PING\r\n")
            await reader.readuntil(b"PONG\r\n")

        yield Running(process.pid, port, publish)
        writer.close()


async def _listens(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError(f"nothing listens on {port}")


def polyfloat(root: Path) -> Start:
    """Return polyfloat-news from a checkout, as a user runs it, with a copy of the scene's database."""

    @asynccontextmanager
    async def start(scene: Scene, _items_a_write: int) -> AsyncIterator[Running]:
        port = free_port()
        command = (sys.executable, "-m", "app", "serve", "--port", str(port), "--database", scene.fresh_database())
        settings = {"NEWS_MAX_CONNECTIONS": "20000", "PYTHONPATH": str(root)}
        # Not tests.support's server_process: it reads the log, on the core of the clients.
        async with _process(*command, environment=settings) as process, aiohttp.ClientSession() as http:
            await _listens(port)
            server = RunningServer(f"http://127.0.0.1:{port}", http, asyncio.Event())

            async def publish(numbers: Sequence[int]) -> None:
                await server.publish(*map(published, numbers))

            yield Running(process.pid, port, publish)

    return start


OURS = Contestant("polyfloat-news", polyfloat(ROOT), has_filters=True)
OURS_DEFLATED = Contestant("polyfloat-news, deflate", polyfloat(ROOT), offers_deflate=True, has_filters=True)
THE_LIMIT = Contestant("C send() loop", peer(LIMIT))
BUN_PUBLISH = Contestant("Bun publish", peer(BUN, PEERS / "bun.ts"))
PICOWS = Contestant("picows send", peer(PEER_PYTHON, PEERS / "picows_send.py"))
NODE_WS = Contestant("Node ws", peer("node", PEERS / "node_ws.js"))
WEBSOCKETS = Contestant("websockets broadcast", peer(PEER_PYTHON, PEERS / "websockets_broadcast.py"))
NATS_WEBSOCKET = Contestant("NATS WebSocket", nats, speaks_nats=True)
AIOHTTP_GATHER = Contestant("aiohttp gather", peer(PEER_PYTHON, PEERS / "aiohttp_gather.py"))
THE_ORIGINAL = Contestant("FastAPI original", peer(PEER_PYTHON, PEERS / "original.py"))
