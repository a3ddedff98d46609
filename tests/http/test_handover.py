"""What `aiohttp_internals` relies on, checked by behavior: an aiohttp that behaves otherwise fails here."""

import asyncio
import json
from collections import defaultdict
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from websockets.asyncio.client import connect

from app.adapters.http.aiohttp_internals import is_waiting_for_request
from app.adapters.http.server_protocol import ServerProtocol
from tests.support.server import RunningServer, running
from tests.support.sockets import masked, upgrade_request

PING = masked(0x81, b'{"type":"ping","id":1}')


async def first_message(server: RunningServer, *pieces: bytes) -> dict[str, object]:
    """Send an upgrade request in pieces; return the first message after the 101."""
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    head = await reader.readexactly(2)
    payload = await reader.readexactly(head[1])
    writer.close()
    return dict(json.loads(payload))


@pytest.mark.parametrize("cut", [0, 3, len(PING)])
async def test_bytes_sent_with_the_upgrade_are_not_lost(server: RunningServer, cut: int) -> None:
    request = upgrade_request("/ws/news?user_id=eager")

    message = await first_message(server, request + PING[:cut], PING[cut:])

    assert (message["type"], message["id"]) == ("pong", 1)


async def test_aiohttp_leaves_the_socket_open_and_no_task() -> None:
    async with running() as server:
        before = len(asyncio.all_tasks())
        sockets = [await connect(f"{server.ws_url}?user_id=u{number}") for number in range(20)]
        while sum("RequestHandler" in repr(task.get_coro()) for task in asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)
        ours = [task for task in asyncio.all_tasks() if "app" in repr(task.get_coro())]

        assert len(ours) <= before
        for socket in sockets:
            await socket.send('{"type":"ping"}')
            assert json.loads(await socket.recv())["type"] == "pong"
            await socket.close()


async def test_connection_waits_before_and_between_requests_only(monkeypatch: pytest.MonkeyPatch) -> None:
    observed: dict[object, list[tuple[str, bool]]] = defaultdict(list)
    receive = ServerProtocol.data_received

    def received(protocol: ServerProtocol, data: bytes) -> None:
        observed[protocol].append(("before", is_waiting_for_request(protocol)))
        receive(protocol, data)
        observed[protocol].append(("after", is_waiting_for_request(protocol)))

    async def observe(request: web.Request) -> web.Response:
        observed[request.protocol].append(("handler", is_waiting_for_request(request.protocol)))
        return web.Response()

    monkeypatch.setattr(ServerProtocol, "data_received", received)
    monkeypatch.setattr("app.adapters.http.rest.operations.get_livez", observe)
    async with running() as server:
        parts = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for _ in range(2):
            for piece in (b"GET /livez HTTP/1.1\r\n", b"Host: x\r\n\r\n"):
                writer.write(piece)
                await asyncio.sleep(0.05)
            await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await server.http.close()

    request = [("before", True), ("after", True), ("before", True), ("after", False), ("handler", False)]
    # The canary's connection is observed too.
    assert request * 2 in observed.values()
