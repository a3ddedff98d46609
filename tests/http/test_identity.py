"""Access on sockets and over REST if tokens are required, and what happens when tokens expire."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from yarl import URL

from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.time_limits import scaled, soon
from tests.support.tokens import LIFE_S, RSA, SECRET, token

# Tokens are verified with half a minute of leeway, so that one that expired a moment before still opens a connection.
EXPIRED_S, GRACE_S = 5, scaled(5)

PUBLISH, ADMIN = "news:publish", "news:admin"


def bearer(given: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {given}"}


async def status_of(server: RunningServer, query: str = "", **options: Any) -> tuple[int, str]:
    """Return the status of an upgrade request, and the error's code."""
    try:
        async with connect(f"{server.ws_url}{query}", **options):
            return 101, ""
    except InvalidStatus as refused:
        return refused.response.status_code, str(json.loads(refused.response.body)["code"])


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await soon(socket.recv()))


async def test_token_opens_sockets_for_its_user_only(closed: RunningServer) -> None:
    alice, operator = bearer(token("alice")), bearer(token("ann", scope=ADMIN))

    assert await status_of(closed, additional_headers=alice) == (101, "")
    assert await status_of(closed, "?user_id=alice", additional_headers=alice) == (101, "")
    assert await status_of(closed, "?user_id=bob", additional_headers=alice) == (403, "forbidden")
    assert await status_of(closed, "?user_id=bob", additional_headers=operator) == (403, "forbidden")


FOREIGN_IDS = [
    *("auth0|5f7c8ec7c33c6c004bbafe82", "spiffe://corp.example/ns/desk/sa/alice", "a+b@example.com", "a/b", "100%"),
    *("..", "?x=1#y", "jürgen", "利下げ", "a" * 256, "é" * 128),
]


@pytest.mark.parametrize("user", FOREIGN_IDS)
async def test_foreign_user_ids_are_carried_everywhere(closed: RunningServer, user: str) -> None:
    own, operator, path = (
        bearer(token(user)),
        bearer(token("ann", scope=ADMIN)),
        quote(user, safe="").replace(".", "%2E"),
    )
    wishes = {"user_id": user, "impact_threshold": 5}
    async with closed.http.post(f"{closed.url}/api/v1/subscriptions", json=wishes, headers=own) as answer:
        assert answer.status == 201
    async with connect(f"{closed.ws_url}?v=2&user_id={path}", additional_headers=own) as socket:
        assert (await receive(socket))["user_id"] == user
        url = URL(f"{closed.url}/api/v1/subscriptions/{path}", encoded=True)
        async with closed.http.get(url, headers=own) as answer:
            assert (answer.status, (await answer.json())["user_id"]) == (200, user)
        url = URL(f"{closed.url}/api/v1/connections?user_id={path}", encoded=True)
        async with closed.http.get(url, headers=operator) as answer:
            assert (await answer.json())["total"] == 1
        url = URL(f"{closed.url}/api/v1/users/{path}/tokens", encoded=True)
        async with closed.http.delete(url, headers=operator) as answer:
            assert (await answer.json())["user_id"] == user
        with pytest.raises(ConnectionClosed):
            await receive(socket)


@pytest.mark.parametrize("user", ["", "a b", "a\n", "\x00", "a\u200bb", "\u202ea", "a" * 257, "é" * 129])
async def test_ids_with_spaces_or_controls_are_refused(closed: RunningServer, user: str) -> None:
    own, path = bearer(token(user)), quote(user, safe="")

    assert await status_of(closed, additional_headers=own) == (401, "unauthorized")
    assert await status_of(closed, f"?v=2&user_id={path}") == (400, "invalid_parameter")


REFUSED: dict[str, tuple[str, str]] = {
    "": ("unauthorized", "bad_token"),
    "Basic YTpi": ("unauthorized", "bad_token"),
    "Bearer": ("unauthorized", "bad_token"),
    "Bearer x.y.z": ("unauthorized", "bad_token"),
    f"Bearer {token(key=RSA, algorithm='RS256')}": ("unauthorized", "bad_token"),
    f"Bearer {token(exp=None)}": ("unauthorized", "bad_token"),
    f"Bearer {token(life_s=-60)}": ("token_expired", "expired_token"),
}


@pytest.mark.parametrize(("given", "words"), list(REFUSED.items()), ids=range(len(REFUSED)))
async def test_invalid_token_is_refused_without_effect(
    closed: RunningServer, given: str, words: tuple[str, str]
) -> None:
    code, reason = words
    headers = {"Authorization": given} if given else {}

    assert await status_of(closed, "?user_id=alice", additional_headers=headers) == (401, code)
    assert await closed.metric("news_handshake_failures_total", reason=reason) == 1
    for method, path in (("POST", "news"), ("GET", "news"), ("DELETE", "subscriptions/alice"), ("GET", "connections")):
        async with closed.http.request(method, f"{closed.url}/api/v1/{path}", headers=headers) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (401, code)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert await closed.metric("news_items_rejected_total", reason="unauthorized") == 1


async def test_browser_token_subprotocol_is_not_echoed(closed: RunningServer) -> None:
    given = token("alice")
    async with connect(closed.ws_url, subprotocols=["news.v2.json", f"bearer.{given}"]) as socket:  # type: ignore[list-item] # a NewType of str
        welcome = await receive(socket)

    assert welcome["user_id"] == "alice"
    assert socket.subprotocol == "news.v2.json"
    assert socket.response is not None
    assert given not in str(socket.response.headers)


@pytest.mark.parametrize(("is_taken", "status"), [(True, 101), (False, 401)])
async def test_query_token_needs_the_setting(is_taken: bool, status: int) -> None:
    async with running(jwt_secret=SECRET, token_in_query=is_taken) as server:
        assert (await status_of(server, f"?token={token('alice')}"))[0] == status


async def rest(server: RunningServer, method: str, path: str, given: str, **more: Any) -> tuple[int, Any]:
    async with server.http.request(method, f"{server.url}/api/v1/{path}", headers=bearer(given), **more) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_publishing_and_operating_need_scopes(closed: RunningServer) -> None:
    reader, publisher, operator = token("r"), token("p", scope=f"x {PUBLISH}"), token("o", scope=ADMIN)

    for given, may_publish, may_operate in ((reader, 403, 403), (publisher, 202, 403), (operator, 403, 200)):
        assert (await rest(closed, "POST", "news", given, json=raw(1)))[0] == may_publish
        assert (await rest(closed, "GET", "connections", given))[0] == may_operate
        assert (await rest(closed, "GET", "news", given))[0] == 200
        assert (await rest(closed, "GET", "stats", given))[0] == 200
    assert await closed.metric("news_items_rejected_total", reason="unauthorized") == 2
    assert await closed.metric("news_auth_attempts_total", result="ok") == 12


async def test_other_users_resources_are_forbidden(closed: RunningServer) -> None:
    alice, bob, operator = token("alice"), token("bob"), token("ann", scope=ADMIN)
    body = {"user_id": "bob", "impact_threshold": 10}

    assert (await rest(closed, "POST", "subscriptions", alice, json=body))[1]["code"] == "forbidden"
    assert (await rest(closed, "POST", "subscriptions", bob, json=body))[0] == 201
    for path in ("subscriptions/bob", "news?user_id=bob"):
        assert [(await rest(closed, "GET", path, given))[0] for given in (alice, bob, operator)] == [403, 200, 200]
    assert (await rest(closed, "GET", "news/none/explain?user_id=bob", alice))[0] == 403
    assert (await rest(closed, "GET", "news/none/explain?user_id=bob", bob))[0] == 404
    assert (await rest(closed, "DELETE", "subscriptions/bob", alice))[0] == 403
    assert (await rest(closed, "GET", "subscriptions/bob", bob))[1]["impact_threshold"] == 10


async def test_health_and_metrics_need_no_token(closed: RunningServer) -> None:
    for path in ("/health", "/livez", "/readyz", "/metrics", "/openapi.json", "/"):
        async with closed.http.get(closed.url + path) as answer:
            assert answer.status == 200


@pytest.fixture
async def expiring() -> AsyncIterator[RunningServer]:
    """A server that closes the connections of tokens that expired a moment before."""
    async with running(jwt_secret=SECRET, limits={"auth.expiry_grace_s": EXPIRED_S + GRACE_S}) as server:
        yield server


async def test_expiring_token_is_announced_and_then_closes(expiring: RunningServer) -> None:
    expired = token("alice", life_s=-EXPIRED_S)
    async with connect(f"{expiring.ws_url}?v=2", additional_headers=bearer(expired)) as socket:
        assert (await receive(socket))["type"] == "welcome"
        assert (await receive(socket))["type"] == "token_expiring"
        with pytest.raises(ConnectionClosed) as caught:
            await receive(socket)

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4501, "token_expired")
    assert await expiring.metric("news_connections_closed_total", reason="token_expired") == 1


async def test_refresh_with_newer_token_keeps_the_connection(expiring: RunningServer) -> None:
    expires_at = int(time.time() + LIFE_S)
    async with connect(expiring.ws_url, additional_headers=bearer(token("alice", life_s=-EXPIRED_S))) as socket:
        await socket.send(json.dumps({"type": "refresh", "id": 1, "token": token("bob")}))
        of_another = await receive(socket)
        await socket.send(json.dumps({"type": "refresh", "id": 2, "token": "x.y.z"}))
        of_nobody = await receive(socket)
        await socket.send(json.dumps({"type": "refresh", "id": 3, "token": token("alice", exp=expires_at)}))
        refreshed = await receive(socket)
        await asyncio.sleep(GRACE_S + 1)
        await socket.send(json.dumps({"type": "ping", "id": 4}))
        pong = await receive(socket)

    assert [(one["id"], one["code"]) for one in (of_another, of_nobody)] == [(1, "forbidden"), (2, "unauthorized")]
    assert (refreshed["type"], refreshed["id"]) == ("refreshed", 3)
    assert refreshed["expires_at"] == expires_at
    assert pong["id"] == 4


async def test_refresh_without_tokens_is_reported(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        await socket.send(json.dumps({"type": "refresh", "id": 1, "token": token()}))

        assert (await receive(socket))["code"] == "invalid_message"


async def test_operator_closes_connections_for_good(closed: RunningServer) -> None:
    operator = token("ann", scope=ADMIN)
    async with connect(f"{closed.ws_url}?v=2", additional_headers=bearer(token("alice"))) as socket:
        connection_id = (await receive(socket))["connection_id"]
        assert (await rest(closed, "DELETE", f"connections/{connection_id}", token("bob")))[0] == 403
        status, kicked = await rest(closed, "DELETE", f"connections/{connection_id}", operator)
        with pytest.raises(ConnectionClosed) as caught:
            await receive(socket)

    assert (status, kicked) == (200, {"status": "kicked", "connection_id": connection_id, "user_id": "alice"})
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4500, "kicked")
    assert (await rest(closed, "DELETE", f"connections/{connection_id}", operator))[0] == 404
