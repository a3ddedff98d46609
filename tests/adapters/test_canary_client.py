"""The canary's client against a server of another library."""

import pytest
from websockets.asyncio.server import ServerConnection, serve

from app.adapters.http.websocket.canary_client import open_receiver


async def greet(client: ServerConnection) -> None:
    await client.send(f"hello {client.request.headers['X-Name'] if client.request else ''}")


async def test_receiver_yields_text_and_raises_on_disconnect() -> None:
    async with serve(greet, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with open_receiver(url, {"X-Name": "canary"}) as receiver:
            assert await receiver.receive() == b"hello canary"
            with pytest.raises(ConnectionResetError, match="CLOSE 1000"):
                await receiver.receive()


async def test_receiver_raises_if_the_server_is_down() -> None:
    with pytest.raises(OSError, match="Cannot connect"):
        async with open_receiver("http://127.0.0.1:1/", {}):
            pytest.fail("connected to nobody")
