""" "Why did I not get this item?", asked over REST and on the socket."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.support.items import raw
from tests.support.server import RunningServer, running

OWN = quote('{"impact_threshold":90}')


async def publish(server: RunningServer, number: int, **changes: Any) -> str:
    """Publish an item and wait until it was broadcast; return its id."""
    [receipt] = await server.publish(raw(number, **changes))
    while await server.metric("news_broadcast_recipients_count") < receipt["seq"]:
        await asyncio.sleep(0.01)
    return str(receipt["id"])


async def answer_to(client: ClientConnection, kind: str, message: dict[str, Any]) -> dict[str, Any]:
    """Send a request and return the answer of a type; items that arrive before it are skipped."""
    await client.send(json.dumps(message))
    async for text in client:
        answer: dict[str, Any] = json.loads(text)
        if answer["type"] == kind:
            return answer
    raise AssertionError("closed")


async def test_user_learns_the_rejecting_step(server: RunningServer) -> None:
    await server.subscribe("picky", impact_threshold=50, categories=["sports"])
    async with connect(f"{server.ws_url}?user_id=picky"):
        item_id = await publish(server, 1, impact_score=80, category="crypto")

        told = await server.get(f"/api/v1/news/{item_id}/explain?user_id=picky")

    assert (told["item"], told["seq"], told["user_id"], told["verdict"]) == (item_id, 1, "picky", "category")
    assert [(step["step"], step["met"]) for step in told["steps"]] == [
        ("impact", True),
        ("category", False),
        ("source", True),
        ("keyword", True),
    ]
    assert told["steps"][1] == {
        "step": "category",
        "met": False,
        "want": {"categories": ["sports"]},
        "got": {"category": "crypto"},
    }
    [connection] = told["connections"]
    assert (connection["state"], connection["verdict"], connection["filter"]) == ("rejected", "category", "stored")


async def test_each_connection_reports_its_status(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as early:
        item_id = await publish(server, 1, impact_score=80)
        async with connect(f"{server.ws_url}?user_id=u&filters={OWN}"), connect(f"{server.ws_url}?user_id=u"):
            second = await publish(server, 2, impact_score=80)
            first_told = await server.get(f"/api/v1/news/{item_id}/explain?user_id=u")
            told = await server.get(f"/api/v1/news/{second}/explain?user_id=u")
            await answer_to(early, "subscribed", {"type": "subscribe", "id": 1, "filters": {"impact_threshold": 100}})
            changed = await server.get(f"/api/v1/news/{second}/explain?user_id=u")

    assert [one["state"] for one in first_told["connections"]] == ["written", "before_connect", "before_connect"]
    assert [one["state"] for one in told["connections"]] == ["written", "rejected", "written"]
    assert [one["filter"] for one in told["connections"]] == ["stored", "own", "stored"]
    assert (told["verdict"], changed["verdict"]) == ("matched", "impact")
    assert [one["state"] for one in changed["connections"]] == ["filter_changed", "rejected", "filter_changed"]


async def test_connection_explains_for_itself(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u&filters={OWN}") as client, connect(f"{server.ws_url}?user_id=u"):
        item_id = await publish(server, 1, impact_score=80)

        told = await answer_to(client, "explanation", {"type": "explain", "id": 7, "item": item_id})

    assert (told["id"], told["item"], told["verdict"]) == (7, item_id, "impact")
    assert [one["state"] for one in told["connections"]] == ["rejected"]
    assert await server.metric("news_client_messages_total", type="explain") == 1


async def test_unknown_item_is_reported(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as client:
        told = await answer_to(client, "error", {"type": "explain", "id": "x", "item": "rss_0"})
    async with server.http.get(f"{server.url}/api/v1/news/rss_0/explain?user_id=u") as answer:
        problem = await answer.json()

    assert (told["code"], told["id"]) == ("unknown_item", "x")
    assert (answer.status, problem["code"]) == (404, "unknown_item")


@pytest.mark.parametrize(("query", "pointer"), [("", "user_id"), ("?user_id=a%20b", "user_id")])
async def test_missing_user_is_refused(server: RunningServer, query: str, pointer: str) -> None:
    async with server.http.get(f"{server.url}/api/v1/news/rss_0/explain{query}") as answer:
        problem = await answer.json()

    assert answer.status == 400
    assert problem["errors"][0]["pointer"] == pointer


async def test_unreadable_filter_is_an_error_for_every_item(tmp_path: Path) -> None:
    database = tmp_path / "news.db"
    async with running(database=str(database)) as server:
        await server.subscribe("u", impact_threshold=0)

        def spoil() -> None:
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute("UPDATE user_subscriptions SET keywords = '{'")

        await asyncio.to_thread(spoil)
        async with connect(f"{server.ws_url}?user_id=u"):
            item_id = await publish(server, 1)
            told = await server.get(f"/api/v1/news/{item_id}/explain?user_id=u")

    assert (told["verdict"], told["steps"]) == ("error", [])
    assert [one["state"] for one in told["connections"]] == ["rejected"]
