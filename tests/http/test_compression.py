"""Compressed connections with other libraries' clients: the same news in fewer bytes, whatever was negotiated."""

import json
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate

from tests.support.items import raw
from tests.support.server import RunningServer
from tests.support.time_limits import soon

CONTENT = "Officials said that borrowing costs may stay where they are for longer than markets expect. " * 8


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await soon(socket.recv()))


@pytest.mark.parametrize("window_bits", [None, 15, 12, 11, 10, 9])
async def test_items_use_the_negotiated_window(server: RunningServer, window_bits: int | None) -> None:
    offer = ClientPerMessageDeflateFactory(server_max_window_bits=window_bits)
    async with connect(f"{server.ws_url}?user_id=u", compression=None, extensions=[offer]) as socket:
        [agreed] = socket.protocol.extensions
        await server.publish(raw(1, content=CONTENT), raw(2, content=CONTENT))
        messages = [await receive(socket) for _ in range(2)]

    assert isinstance(agreed, PerMessageDeflate)
    assert agreed.remote_max_window_bits == min(window_bits or 15, 12)
    assert agreed.remote_no_context_takeover
    assert agreed.local_no_context_takeover
    assert [message["data"]["content"] for message in messages] == [CONTENT.strip()] * 2


async def test_impossible_window_means_no_compression(server: RunningServer) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=8"}
    async with connect(f"{server.ws_url}?user_id=u", compression=None, additional_headers=offer) as socket:
        await server.publish(raw(1))
        message = await receive(socket)

    assert socket.response is not None
    assert "Sec-WebSocket-Extensions" not in socket.response.headers
    assert message["type"] == "news_item"


async def test_client_messages_may_be_compressed(server: RunningServer) -> None:
    keywords = [f"keyword number {number}" for number in range(150)]
    async with server.http.ws_connect(f"{server.ws_url}?user_id=u", compress=15) as socket:
        await socket.send_json({"type": "subscribe", "id": 1, "filters": {"keywords": keywords}})
        subscribed = await socket.receive_json(timeout=5)
        await server.publish(raw(1, title="Keyword number 7", impact_score=90), raw(2, impact_score=90))
        item = await socket.receive_json(timeout=5)

    assert socket.compress
    assert len(subscribed["filters"]["keywords"]) == 150
    assert item["data"]["title"] == "Keyword number 7"


async def test_decompressed_message_is_limited(server: RunningServer) -> None:
    async with server.http.ws_connect(f"{server.ws_url}?user_id=u", compress=15) as socket:
        await socket.send_str("x" * 1_000_000)
        message = await socket.receive(timeout=5)

    assert message.type is aiohttp.WSMsgType.CLOSE
    assert message.data == 1009


async def test_replayed_and_channel_items_are_compressed(server: RunningServer) -> None:
    await server.publish(raw(1, content=CONTENT))
    async with (
        connect(f"{server.ws_url}?user_id=late&last=1") as late,
        connect(f"{server.ws_url}?user_id=named&v=2") as named,
    ):
        replayed = await receive(late)
        for channel in ("a", "b"):
            await named.send(json.dumps({"type": "subscribe", "channel": channel, "id": channel, "filters": {}}))
        while (await receive(named)).get("channel") != "b":
            pass
        await server.publish(raw(2, content=CONTENT, impact_score=90))
        live, item = await receive(late), await receive(named)

    assert (replayed["replay"], replayed["data"]["content"]) == (True, CONTENT.strip())
    assert live["data"]["content"] == CONTENT.strip()
    assert item["channels"] == ["a", "b", "default"]
    # The replayed item, the live one, and the one with names; no client was connected for the first.
    assert await server.metric("news_frames_encoded_total", encoding="deflate") == 3
    assert await server.metric("news_frames_encoded_total", encoding="identity") == 0
    payload = await server.metric("news_sent_payload_bytes_total", encoding="deflate")
    assert await server.metric("news_sent_wire_bytes_total", encoding="deflate") < payload / 2


async def test_operators_see_compression(server: RunningServer) -> None:
    async with (
        connect(f"{server.ws_url}?user_id=packed"),
        connect(f"{server.ws_url}?user_id=plain", compression=None),
    ):
        visits = (await server.get("/api/v1/connections"))["connections"]

    assert {visit["user_id"]: visit["is_compressed"] for visit in visits} == {"packed": True, "plain": False}
