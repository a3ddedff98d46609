"""Clients that authenticate after the upgrade."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from app.core.limits import Limits
from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.time_limits import soon
from tests.support.tokens import SECRET, token


@pytest.fixture
async def closed() -> AsyncIterator[RunningServer]:
    async with running(jwt_secret=SECRET, max_connections_per_user=2) as server:
        yield server


def auth(given: str, **more: Any) -> str:
    return json.dumps({"type": "auth", "token": given, **more})


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await soon(socket.recv()))


async def until_closed(socket: ClientConnection) -> tuple[list[Any], int, str]:
    """Return what arrives, and how the server closes."""
    messages: list[Any] = []
    with pytest.raises(ConnectionClosed) as ended:
        while True:
            messages.append(await receive(socket))
    assert ended.value.rcvd is not None
    return messages, ended.value.rcvd.code, ended.value.rcvd.reason


async def test_auth_identifies_and_later_messages_wait(closed: RunningServer) -> None:
    async with connect(f"{closed.ws_url}?v=2&last=1") as socket:
        await socket.send(auth(token("alice"), id=1))
        await socket.send(json.dumps({"type": "ping", "id": 2}))
        await socket.send(json.dumps({"type": "subscribe", "id": 3, "filters": {"impact_threshold": 0}}))
        welcome, live, refreshed, *rest = [await receive(socket) for _ in range(5)]
        publisher = {"Authorization": f"Bearer {token('p', scope='news:publish')}"}
        await closed.http.post(f"{closed.url}/api/v1/news", json=raw(1), headers=publisher)
        item = await receive(socket)

    assert (welcome["type"], welcome["user_id"]) == ("welcome", "alice")
    assert live["type"] == "live"
    assert (refreshed["type"], refreshed["id"]) == ("refreshed", 1)
    assert [(one["type"], one["id"]) for one in rest] == [("pong", 2), ("subscribed", 3)]
    assert item["type"] == "news_item"
    assert await closed.metric("news_connections_opened_total") == 1
    assert await closed.metric("news_auth_attempts_total", result="ok") == 2
    assert await closed.metric("news_client_messages_total", type="auth") == 1


async def test_v2_subprotocol_may_authenticate_later(
    closed: RunningServer,
) -> None:
    async with connect(closed.ws_url, subprotocols=["news.v2.json"]) as socket:  # type: ignore[list-item]
        await socket.send(auth(token("alice")))
        assert (await receive(socket))["type"] == "welcome"
    for query in ("", "?user_id=alice", "?v=1"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(closed.ws_url + query)
        assert refused.value.response.status_code == 401
    with pytest.raises(InvalidStatus) as wrong:
        await connect(f"{closed.ws_url}?v=2", additional_headers={"Authorization": "Bearer x.y.z"})
    assert wrong.value.response.status_code == 401


@pytest.mark.parametrize(
    ("said", "error", "code", "reason"),
    [
        (auth("x.y.z"), "unauthorized", 4502, "unauthenticated"),
        (auth(token("alice", life_s=-60)), "token_expired", 4501, "token_expired"),
        (auth(token("bob")), "forbidden", 4502, "unauthenticated"),
        (auth(""), "invalid_message", 4502, "unauthenticated"),
        (json.dumps({"type": "ping"}), "unauthorized", 4502, "unauthenticated"),
        (json.dumps({"type": "refresh", "token": token("alice")}), "unauthorized", 4502, "unauthenticated"),
        ("no json", "invalid_json", 4502, "unauthenticated"),
    ],
)
async def test_other_first_message_is_answered_and_closed(
    closed: RunningServer, said: str, error: str, code: int, reason: str
) -> None:
    async with connect(f"{closed.ws_url}?v=2&user_id=alice") as socket:
        await socket.send(said)
        messages, *ended = await until_closed(socket)

    assert [(one["type"], one["code"]) for one in messages] == [("error", error)]
    assert ended == [code, reason]
    assert await closed.metric("news_connections_opened_total") == 0
    assert await closed.metric("news_connections") == 0


async def test_silent_connection_is_closed_without_news(closed: RunningServer) -> None:
    async with connect(f"{closed.ws_url}?v=2") as socket:
        publisher = {"Authorization": f"Bearer {token('p', scope='news:publish')}"}
        await closed.http.post(f"{closed.url}/api/v1/news", json=raw(1), headers=publisher)
        began = asyncio.get_running_loop().time()
        messages, code, _ = await until_closed(socket)
        waited_s = asyncio.get_running_loop().time() - began

    assert ([one["type"] for one in messages], code) == (["error"], 4502)
    assert waited_s > 4
    assert await closed.metric("news_auth_attempts_total", result="missing") == 1
    assert await closed.metric("news_handshake_failures_total", reason="missing_user") == 0
    assert await closed.metric("news_handshake_failures_total", reason="bad_token") == 1


async def test_lost_place_is_reported_with_retry_time(closed: RunningServer) -> None:
    async with AsyncExitStack() as others:
        for _ in range(2):
            header = {"Authorization": f"Bearer {token('alice')}"}
            await others.enter_async_context(connect(closed.ws_url, additional_headers=header))
        async with connect(f"{closed.ws_url}?v=2") as socket:
            await socket.send(auth(token("alice")))
            messages, code, reason = await until_closed(socket)

    assert messages[0]["code"] == "too_many_connections"
    assert messages[0]["retry_after_ms"] > 0
    assert (code, reason) == (4029, "rate_limited;retry_after_ms=30000")


async def test_flooding_pending_connection_is_closed(closed: RunningServer) -> None:
    async with connect(f"{closed.ws_url}?v=2") as socket:
        for _ in range(Limits().messages.burst + 1):
            _pong = await socket.ping()
        _, code, _ = await until_closed(socket)

    assert code == 4029


async def test_invalid_query_is_refused_by_status(closed: RunningServer) -> None:
    for query in ("last=0", "user_id=a%20b", "channels=%20"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{closed.ws_url}?v=2&{query}")
        assert refused.value.response.status_code == 400


async def test_client_that_left_early_is_not_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(_request: web.Request) -> None:
        raise ConnectionResetError("the client left during the handshake")

    async with running(jwt_secret=SECRET, limits={"auth.max_unauthenticated_connections": 1}) as server:
        with monkeypatch.context() as patched:
            patched.setattr("app.adapters.http.websocket.upgrade.open_transport", leave)
            with pytest.raises((ConnectionError, EOFError, InvalidMessage, InvalidStatus)):
                await connect(f"{server.ws_url}?v=2")
        async with connect(f"{server.ws_url}?v=2") as socket:
            await socket.send(auth(token("alice")))

            assert (await receive(socket))["type"] == "welcome"


async def test_authenticated_client_may_send_auth_again(closed: RunningServer) -> None:
    async with connect(f"{closed.ws_url}?v=2", additional_headers={"Authorization": f"Bearer {token('a')}"}) as socket:
        await socket.send(auth(token("a"), id=1))
        await socket.send(auth(token("b"), id=2))
        answers = [await receive(socket) for _ in range(3)][1:]

    assert [(one["type"], one.get("code")) for one in answers] == [("refreshed", None), ("error", "forbidden")]
