"""Limits that an operator set are enforced, and are those of GET /api/v1/limits."""

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.telemetry.labels import LimitHit
from tests.support.items import raw
from tests.support.server import running


async def test_changed_limits_are_enforced_and_shown() -> None:
    changed = {"filters.max_channels": 2, "messages.max_bytes": 600, "publishing.max_body_bytes": 100}
    async with running(limits=changed, max_connections_per_user=1) as server:
        limits = (await server.get("/api/v1/limits"))["limits"]
        async with connect(f"{server.ws_url}?user_id=u&v=2") as socket:
            welcome = json.loads(await socket.recv())
            answers = []
            for name in ("a", "b"):
                await socket.send(json.dumps({"type": "subscribe", "id": name, "channel": name, "filters": {}}))
                answers.append(json.loads(await socket.recv()))
            with pytest.raises(InvalidStatus):
                await connect(f"{server.ws_url}?user_id=u")
            await socket.send("x" * 700)
            await socket.wait_closed()
        async with server.http.post(f"{server.url}/api/v1/news", json=raw(1)) as answer:
            assert answer.status == 413
        hit = {limit: await server.metric("news_limit_hits_total", limit=limit) for limit in LimitHit}

    assert (limits["filters"]["max_channels"], limits["messages"]["max_bytes"]) == (2, 600)
    assert limits["history"]["max_page_items"] == 500
    assert (welcome["limits"]["channels"], welcome["limits"]["message_bytes"]) == (2, 600)
    assert [one.get("code") for one in answers] == [None, "too_many_channels"]
    assert socket.close_code == 1009
    assert {limit.value for limit, times in hit.items() if times} == {
        "message_bytes",
        "user_connections",
        "publish_bytes",
    }
    assert sum(hit.values()) == 3


async def test_stored_filters_and_devices_have_bounds() -> None:
    changed = {"filters.max_stored_channels": 2, "filters.max_users": 1, "delivery.max_devices_per_user": 2}
    async with running(limits=changed) as server:
        async with connect(f"{server.ws_url}?user_id=u&v=2") as socket:
            await socket.recv()
            answers = []
            for name in ("a", "b", "b", "c", "default"):
                message: dict[str, object] = {
                    "type": "subscribe",
                    "id": name,
                    "channel": name,
                    "filters": {},
                    "persist": True,
                }
                await socket.send(json.dumps(message))
                answers.append(json.loads(await socket.recv()))
        for device in ("1", "2", "1"):
            async with connect(f"{server.ws_url}?user_id=u&ack=1&v=2&device_id={device}"):
                pass
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.ws_url}?user_id=u&ack=1&v=2&device_id=3")
        other = {"user_id": "other", "keywords": ["fed"]}
        async with server.http.post(f"{server.url}/api/v1/subscriptions", json=other) as answer:
            problem = await answer.json()
        hits = {
            limit: await server.metric("news_limit_hits_total", limit=limit)
            for limit in ("stored_channels", "users", "devices")
        }

    assert [answer.get("code") for answer in answers] == [None, None, None, "limit_reached", None]
    assert (refused.value.response.status_code, b"limit_reached" in refused.value.response.body) == (429, True)
    assert (answer.status, problem["code"], problem["detail"]) == (
        429,
        "limit_reached",
        "Filters of 1 users are stored already",
    )
    assert hits == {"stored_channels": 1, "users": 1, "devices": 1}
