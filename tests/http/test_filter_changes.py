"""How often a user may change filters."""

import json

from websockets.asyncio.client import connect

from tests.support.server import RunningServer, running
from tests.support.tokens import SECRET, token

WISHES = {"impact_threshold": 0}
CHANGES = 20


async def test_filter_changes_are_limited_per_user() -> None:
    async with running(jwt_secret=SECRET) as server:
        alice, bob = ({"Authorization": f"Bearer {token(user)}"} for user in ("alice", "bob"))
        async with connect(server.ws_url, additional_headers=alice) as socket:
            for number in range(CHANGES // 2):
                await socket.send(json.dumps({"type": "subscribe", "id": number, "filters": WISHES, "persist": False}))
                assert json.loads(await socket.recv())["type"] == "subscribed"
            statuses = [await _store(server, "alice", alice) for _ in range(CHANGES // 2 + 1)]
            await socket.send(json.dumps({"type": "subscribe", "id": 99, "filters": WISHES}))
            refused = json.loads(await socket.recv())
            async with server.http.delete(f"{server.url}/api/v1/subscriptions/alice", headers=alice) as answer:
                assert (answer.status, int(answer.headers["Retry-After"]) >= 1) == (429, True)
        assert await _store(server, "bob", bob) == 201
        assert await server.metric("news_rate_limited_total", scope="filter") == 3

    assert statuses == [201, *[200] * (CHANGES // 2 - 1), 429]
    assert (refused["code"], refused["id"], refused["retryable"]) == ("rate_limited", 99, True)
    assert 0 < refused["retry_after_ms"] <= 3_000


async def test_anonymous_users_have_separate_limits(server: RunningServer) -> None:
    statuses = {await _store(server, "alice", {}) for _ in range(CHANGES + 5)}

    assert statuses == {200, 201}


async def _store(server: RunningServer, user: str, headers: dict[str, str]) -> int:
    body = {"user_id": user, **WISHES}
    async with server.http.post(f"{server.url}/api/v1/subscriptions", json=body, headers=headers) as answer:
        return answer.status
