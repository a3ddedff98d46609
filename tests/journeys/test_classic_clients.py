"""The original's clients, as its documentation describes them, without anything of v2."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import websockets

from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.time_limits import soon

KNOWN_TYPES = {"news_item", "pong", "keep_alive", "error"}
ITEM_KEYS = {
    "id",
    "source",
    "source_account",
    "title",
    "content",
    "url",
    "published_at",
    "impact_score",
    "relevance_score",
    "tickers",
    "people",
    "prediction_markets",
    "category",
    "tags",
    "is_duplicate",
    "duplicate_of",
    "is_high_signal",
}


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    async with running() as server:
        yield server


async def test_websockets_client_with_recv(server: RunningServer) -> None:
    async with websockets.connect(f"{server.ws_url}?user_id=python_client") as socket:
        await server.publish(raw(1, impact_score=85.5))
        data = json.loads(await soon(socket.recv()))

    assert set(data) >= {"type", "data", "timestamp"}
    assert data["type"] == "news_item"
    assert set(data["data"]) == ITEM_KEYS
    assert data["data"]["is_high_signal"] is True


async def test_websockets_client_with_iteration(server: RunningServer) -> None:
    seen = []
    async with websockets.connect(f"{server.ws_url}?user_id=loop_client") as socket:
        await socket.send(json.dumps({"type": "ping"}))
        await server.publish(raw(1), raw(2))
        async for text in socket:
            seen.append(json.loads(text)["type"])
            if len(seen) == 3:
                break

    assert seen.count("news_item") == 2
    assert set(seen) <= KNOWN_TYPES


async def test_aiohttp_client_with_iteration(server: RunningServer) -> None:
    titles: list[str] = []
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{server.url}/ws/news?user_id=alice@example.com") as socket:
            await server.publish(raw(1), raw(2))
            async for message in socket:
                assert message.type is aiohttp.WSMsgType.TEXT
                titles.append(json.loads(message.data)["data"]["title"])
                if len(titles) == 2:
                    break

    assert titles == ["Story 1", "Story 2"]


async def test_classic_client_gets_only_original_messages(server: RunningServer) -> None:
    async with websockets.connect(f"{server.ws_url}?user_id=quiet&v=1") as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)
        await socket.send('{"type":"subscribe","filters":{"impact_threshold":75,"categories":["politics","crypto"]}}')
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)
        await socket.send('{"type":"ping"}')

        assert json.loads(await soon(socket.recv())).keys() >= {"type", "timestamp"}


async def test_original_rest_examples_work(server: RunningServer) -> None:
    await server.publish(raw(1, category="politics"))

    async with server.http.get(f"{server.url}/api/v1/news", params={"category": "politics", "limit": 20}) as answer:
        items = (await answer.json())["items"]
    stats = await server.get("/api/v1/stats")

    assert [item["title"] for item in items] == ["Story 1"]
    assert {"active_connections", "total_news_items", "items_last_24h"} <= set(stats)
